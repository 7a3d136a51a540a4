"""The fills of an account held against the replay of the same sessions; session x account, with a check of its figures."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from resources.configurable import ClockResource, LakeResource, LedgerResource
from trading_assets.adjusted import Actions
from trading_assets.backtest_runs import BacktestInputs, Market
from trading_assets.code_version import platform_version
from trading_assets.configured import account as load_account
from trading_assets.configured import variant as load_variant
from trading_assets.dataset import dataset
from trading_assets.history import History
from trading_assets.materialise import Materialised, Produce, Skipped, dimension_of, materialise_partitions, session_of
from trading_assets.publications import materialised
from trading_assets.settings import Settings
from trading_assets.stages import came_on_paper, recorded
from trading_assets.universes import load_universes

if TYPE_CHECKING:
    from resources.ledger import Ledger
    from trading.accounts import AccountConfig
    from trading.promotion.paper_parity import PaperParity
    from trading.variants import Variant

DATASET = "paper_parity"
CHECK = "matches_replay"
FIGURES = {
    "account": pl.String(),
    "variant": pl.String(),
    "strategy_version": pl.String(),
    "session": pl.Date(),
    "since": pl.Date(),
    "trades": pl.Int64(),
    "missed": pl.Int64(),
    "extra": pl.Int64(),
    "max_price_difference_bps": pl.Float64(),
    "slippage_bps": pl.Float64(),
    "slippage_fills": pl.Int64(),
    "assumed_slippage_bps": pl.Float64(),
    "differences": pl.Int64(),
    "error_events": pl.Int64(),
}


def paper_parity_assets(settings: Settings, partitions: dg.MultiPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """paper_parity."""

    @dataset(
        DATASET,
        group="portfolio",
        description="What the account traded in a session against a replay of its sessions since each version came on paper: "
        "trades matched, missed and extra, price difference in basis points, slippage paid and assumed.",
        sources=["trading/promotion/paper_parity.py", "trading/replay", "trading_assets/paper_parity.py"],
        partitions=partitions,
        deps=["order_routing", "reconciliation", "signals"],
        kinds=("ledger", "parquet"),
        checks=[
            dg.AssetCheckSpec(
                CHECK,
                asset=DATASET,
                blocking=False,
                description="Every trade of the account is one of the replay and the other way round.",
            )
        ],
    )
    def paper_parity(
        context: dg.AssetExecutionContext, lake: LakeResource, ledger: LedgerResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        publisher = lake.publisher(context, platform_version(), clock.now)

        def prepare(_: Sequence[str]) -> Produce:
            desk = ParityDesk(settings, History(publisher.snapshot()), ledger.open())

            def produce(key: str) -> Materialised | Skipped:
                account, session = dimension_of(key, "account"), dt.date.fromisoformat(session_of(key))
                partition = {"session": session.isoformat(), "account": account}
                if session not in desk.history.sessions("order_routing", {"account": account}):
                    return Skipped(f"order_routing of {account} {session} is not on main: materialise it first")
                figures, trades = desk.compared(load_account(settings, account), session)
                reads = dict.fromkeys(("order_routing", "signals"), desk.history.pinned)
                publication = publisher.publish(
                    DATASET,
                    partition,
                    {"data.parquet": figures, "trades.parquet": trades},
                    audit=None,
                    inputs=reads,
                    since=desk.history.pinned,
                )
                context.log_event(_evaluation(key, figures))
                return materialised(publication, figures.height, _shown(figures), reads=reads)

            return produce

        yield from materialise_partitions(context, DATASET, prepare)

    return [paper_parity]


@dataclass
class ParityDesk:
    """Compares one account's sessions; all reads of the lake at one commit."""

    settings: Settings
    history: History
    ledger: "Ledger"

    def __post_init__(self) -> None:
        self._market = Market(self.history, Actions.at(self.history.snapshot), load_universes(self.settings))

    def compared(self, account: "AccountConfig", session: dt.date) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Figures, one row a variant that traded in ``session``, and the trades that were closed in it.

        A version is replayed from the first session that it traded on its stage, so that it holds what the book holds.
        """
        from trading.promotion.paper_parity import TRADES

        figures, trades = [], []
        for name in sorted(account.variants):
            variant = load_variant(self.settings, name)
            since = self._first_traded(account.name, variant, session)
            if since is None:
                continue
            found = self._parity(account, variant, since, session)
            figures.append(self._figures(account.name, variant, since, session, found))
            trades.append(found.rows.select(pl.lit(name).alias("variant"), *found.rows.columns))
        empty = pl.DataFrame(schema={"variant": pl.String(), **TRADES})
        return pl.DataFrame(figures, schema=FIGURES), pl.concat(trades) if trades else empty

    def _first_traded(self, account: str, variant: "Variant", session: dt.date) -> dt.date | None:
        """First session that the account traded the version in since it came on paper; None where it is not there."""
        version = (variant.strategy_version, variant.config_hash)
        since = came_on_paper(recorded(self.ledger, variant.name, session).decisions, version)
        if since is None:
            return None
        routed = self.history.sessions("order_routing", {"account": account})
        return next((day for day in routed if since < day <= session), None)

    def _parity(self, account: "AccountConfig", variant: "Variant", since: dt.date, session: dt.date) -> "PaperParity":
        from trading.promotion.paper_parity import paper_parity
        from trading.replay import replay

        inputs = BacktestInputs.published(self._market, variant, [session])
        days = [day for day in inputs.reached if since <= day <= session]
        cash = account.variants[variant.name].capital
        bars = inputs.bars_of(days)
        instruments = self._market.universes.instruments(bars["Symbol"].unique())
        config = variant.replay.model_copy(update={"initial_cash": cash})
        replayed = replay(bars, inputs.signals_of(days), config, instruments).trades
        opens = self._market.calendar(variant).open(session)
        closed = replayed.filter((pl.col("exit_reason") != "end") & (pl.col("exit_time") >= opens))
        ours = self.closed_trades(account.name, variant, session)
        return paper_parity(ours, closed, variant.replay.costs.slippage_bps)

    def closed_trades(self, account: str, variant: "Variant", session: dt.date) -> pl.DataFrame:
        """Trades of the book whose last exit was in ``session``; prices are averages over their executions."""
        from trading.promotion.paper_parity import TRADES

        left = {f.order_ref for f in self.ledger.fills(account, variant.name, session) if f.leg == "exit"}
        known = {
            ref: intent
            for ref, intent in self.ledger.intents_by_ref(sorted(left)).items()
            if intent.strategy_version == variant.strategy_version
        }
        fills = pl.DataFrame(
            [
                {
                    "order_ref": f.order_ref,
                    "leg": f.leg,
                    "session": f.session,
                    "qty": f.qty,
                    "price": f.price,
                    "reason": f.reason,
                }
                for f in self.ledger.fills(account, variant.name)
                if f.order_ref in known and f.session <= session
            ],
            schema={
                **dict.fromkeys(("order_ref", "leg"), pl.String()),
                "session": pl.Date(),
                **dict.fromkeys(("qty", "price"), pl.Float64()),
                "reason": pl.String(),
            },
        )
        entry, exit_ = pl.col("leg") == "entry", pl.col("leg") == "exit"
        qty, price = pl.col("qty"), pl.col("price")
        trades = (
            fills.group_by("order_ref", maintain_order=True)
            .agg(
                qty.filter(entry).sum(),
                _average(qty.filter(entry), price.filter(entry)).alias("entry_price"),
                _average(qty.filter(exit_), price.filter(exit_)).alias("exit_price"),
                pl.col("reason").filter(exit_).last().alias("exit_reason"),
                qty.filter(exit_).sum().alias("out"),
                pl.col("session").filter(exit_).max().alias("closed"),
            )
            .filter((pl.col("closed") == session) & ((pl.col("out") - pl.col("qty")).abs() <= 1e-9 * pl.col("qty")))
        )
        intents = [known[ref] for ref in trades["order_ref"]]
        return trades.with_columns(
            pl.Series("Symbol", [intent.symbol for intent in intents], TRADES["Symbol"]),
            pl.Series("setup_time", [intent.setup_time for intent in intents], TRADES["setup_time"]),
            pl.Series("side", [intent.side for intent in intents], TRADES["side"]),
        ).select(*TRADES)

    def _figures(
        self, account: str, variant: "Variant", since: dt.date, session: dt.date, found: "PaperParity"
    ) -> dict[str, Any]:
        differences = self.history.frame("reconciliation", self._reconciled(account, session), {"account": account})
        events = self.ledger.risk_events(account, session=session)
        mine = [event for event in events if event.variant in ("", variant.name) and event.severity == "error"]
        return {
            "account": account,
            "variant": variant.name,
            "strategy_version": variant.strategy_version,
            "session": session,
            "since": since,
            "trades": found.trades,
            "missed": found.missed,
            "extra": found.extra,
            "max_price_difference_bps": found.max_price_difference_bps,
            "slippage_bps": found.slippage_bps,
            "slippage_fills": found.slippage_fills,
            "assumed_slippage_bps": variant.replay.costs.slippage_bps,
            "differences": differences.height,
            "error_events": len(mine),
        }

    def _reconciled(self, account: str, session: dt.date) -> list[dt.date]:
        return [day for day in self.history.sessions("reconciliation", {"account": account}) if day == session]


def _average(qty: pl.Expr, price: pl.Expr) -> pl.Expr:
    """The price itself where there is one execution: a weighted mean would change its last bit."""
    return pl.when(price.n_unique() == 1).then(price.first()).otherwise((qty * price).sum() / qty.sum())


def _evaluation(key: str, figures: pl.DataFrame) -> dg.AssetCheckEvaluation:
    missed, extra, trades = (int(figures[name].sum()) for name in ("missed", "extra", "trades"))
    worst = figures["max_price_difference_bps"].max()
    return dg.AssetCheckEvaluation(
        dg.AssetKey(DATASET),
        CHECK,
        passed=missed == extra == 0,
        severity=dg.AssetCheckSeverity.ERROR,
        blocking=False,
        partition=key,
        description=f"{trades} trades: {trades - extra} matched, {missed} missed, {extra} extra; largest price difference "
        + (f"{worst:.4g} bps" if isinstance(worst, float) else "none"),
        metadata={**_shown(figures), "figure": f"{missed + extra} missed or extra", "limit": "0"},
    )


def _shown(figures: pl.DataFrame) -> dict[str, Any]:
    trades, extra = int(figures["trades"].sum()), int(figures["extra"].sum())
    worst = figures["max_price_difference_bps"].max()
    columns = [name for name in figures.columns if name not in ("account", "strategy_version")]
    records = [dg.TableRecord({name: _cell(row[name]) for name in columns}) for row in figures.iter_rows(named=True)]
    schema = dg.TableSchema([dg.TableColumn(name) for name in columns])
    return {
        "trades": trades,
        "matched": trades - extra,
        "missed": int(figures["missed"].sum()),
        "extra": extra,
        **({"max_price_difference_bps": worst} if isinstance(worst, float) else {}),
        **({"by_variant": dg.MetadataValue.table(records, schema=schema)} if records else {}),
    }


def _cell(value: Any) -> Any:
    """As a table in the UI takes it, in which every record has every field."""
    return "" if value is None else value.isoformat() if isinstance(value, dt.date) else value
