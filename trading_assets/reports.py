"""The session's report: pages that a person opens, made from what is on main and in the ledger."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from resources.configurable import ClockResource, LakeResource, LedgerResource
from trading_assets.code_version import platform_version, research_version
from trading_assets.configured import account_names, variant_names
from trading_assets.dataset import dataset
from trading_assets.history import History
from trading_assets.materialise import Materialised, Produce, Skipped, materialise_partitions
from trading_assets.publications import materialised
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from resources.ledger import Ledger
    from trading.reports import DecisionRow, FaultRow, IndexRow, OrderRow, Picture, VariantRow


def report_assets(settings: Settings, sessions: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """report."""

    @dataset(
        "report",
        group="reports",
        description="Run page of a session with a tear sheet per variant: results, stages and missing gates, orders and "
        "their fate, data faults. Also written to the home's reports folder, with an index.",
        sources=["trading/reports", "trading_assets/reports.py"],
        partitions=sessions,
        deps=["backtest", "promotion_decision", "order_routing", "portfolio_worth", "bar_quality"],
        kinds=("html",),
    )
    def report(
        context: dg.AssetExecutionContext, lake: LakeResource, ledger: LedgerResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        publisher = lake.publisher(context, platform_version(), clock.now)

        def prepare(_: Sequence[str]) -> Produce:
            history = History(publisher.snapshot())

            def produce(session: str) -> Materialised | Skipped:
                day = dt.date.fromisoformat(session)
                if day not in history.sessions("bar_quality"):
                    return Skipped(f"session {session} has no data on main")
                facts = _Facts.of(settings, history, ledger.open(), day)
                files = facts.pages(settings)
                publication = publisher.publish(
                    "report",
                    {"session": session},
                    {**files, "data.parquet": facts.summary()},
                    audit=None,
                    inputs=dict.fromkeys(("backtest", "promotion_decision", "bar_quality"), history.pinned),
                    since=history.pinned,
                )
                page = write_pages(settings.reports_dir, session, files, facts.index_row(), settings.label)
                return materialised(
                    publication,
                    1,
                    {
                        "page": dg.MetadataValue.url(page.as_uri()),
                        "variants": len(facts.variants),
                        "orders": len(facts.orders),
                    },
                )

            return produce

        yield from materialise_partitions(context, "report", prepare)

    return [report]


@dataclass(frozen=True)
class _Facts:
    """Everything on one session's pages."""

    session: dt.date
    variants: list["VariantRow"]
    decisions: list["DecisionRow"]
    orders: list["OrderRow"]
    faults: list["FaultRow"]
    sheets: dict[str, dict[str, Any]]
    pinned: dict[str, str]

    @classmethod
    def of(cls, settings: Settings, history: History, ledger: "Ledger", day: dt.date) -> "_Facts":
        variants, sheets = _variants(settings, history, day)
        return cls(
            session=day,
            variants=variants,
            decisions=_decisions(settings, history, day),
            orders=[order for account in account_names(settings) for order in _orders(ledger, account, day)],
            faults=_faults(history, day, settings.min_coverage),
            sheets=sheets,
            pinned={"m1_bars": history.made_by("m1_bars", day), "code": research_version()},
        )

    def pages(self, settings: Settings) -> dict[str, bytes]:
        """The session page and a tear sheet per variant, as file name and HTML bytes."""
        from trading.reports import SessionReport, TearSheet, session_page, tear_sheet

        files: dict[str, bytes] = {}
        links: dict[str, str] = {}
        for name, sheet in self.sheets.items():
            links[name] = f"{name}.html"
            files[links[name]] = tear_sheet(
                TearSheet(
                    variant=name,
                    title=sheet["label"],
                    session=self.session,
                    metrics=sheet["metrics"],
                    trades=sheet["trades"],
                    label=settings.label,
                    currency=sheet["currency"],
                    timezone=settings.display_timezone,
                    pictures=sheet["pictures"],
                    params=sheet["params"],
                    pinned={"backtest": sheet["commit"], "strategy_version": sheet["strategy_version"]},
                )
            ).encode()
        page = session_page(
            SessionReport(
                session=self.session,
                label=settings.label,
                variants=self.variants,
                decisions=self.decisions,
                orders=self.orders,
                faults=self.faults,
                pinned=self.pinned,
                tear_sheets=links,
            )
        )
        return {"index.html": page.encode(), **files}

    def index_row(self) -> "IndexRow":
        from trading.reports import IndexRow

        results = [order.pnl for order in self.orders if order.pnl is not None]
        return IndexRow(
            session=self.session,
            href=f"{self.session}/index.html",
            variants=len(self.sheets),
            orders=len(self.orders),
            filled=sum(order.entry_price is not None for order in self.orders),
            pnl=sum(results) if results else None,
            faults=len(self.faults),
            alerts=0,
            moved="; ".join(
                f"{row.variant}: {row.from_stage} → {row.to_stage}"
                for row in self.decisions
                if row.from_stage != row.to_stage
            ),
        )

    def summary(self) -> pl.DataFrame:
        row = self.index_row()
        return pl.DataFrame(
            [
                {
                    name: getattr(row, name)
                    for name in ("session", "variants", "orders", "filled", "pnl", "faults", "moved")
                }
            ],
            schema_overrides={"pnl": pl.Float64},
        )


def write_pages(folder: Path, session: str, files: dict[str, bytes], row: "IndexRow", label: str | None) -> Path:
    """Write the pages under ``folder`` and renew its index; the session's page."""
    from trading.reports import IndexRow, index_page

    home = folder / session
    home.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        _replace(home / name, content)
    known = {name: value for name, value in vars(row).items() if name != "session"}
    _replace(home / "summary.json", json.dumps({"session": session, **known}).encode())
    rows = []
    for found in sorted(folder.glob("*/summary.json")):
        content = json.loads(found.read_bytes())
        rows.append(IndexRow(**{**content, "session": dt.date.fromisoformat(content["session"])}))
    _replace(folder / "index.html", index_page(rows, label=label).encode())
    return home / "index.html"


def _replace(file: Path, content: bytes) -> None:
    partial = file.with_name(f".{file.name}.part")
    partial.write_bytes(content)
    partial.replace(file)


def _variants(
    settings: Settings, history: History, day: dt.date
) -> tuple[list["VariantRow"], dict[str, dict[str, Any]]]:
    from trading.reports import VariantRow

    rows: list[VariantRow] = []
    sheets: dict[str, dict[str, Any]] = {}
    for name in variant_names(settings):
        if day not in history.sessions("backtest", {"variant": name}):
            continue
        partition = {"session": day.isoformat(), "variant": name}
        metrics = history.snapshot.frame("backtest", partition).to_dicts()
        for found in metrics:
            short = "" if found["reaches_back"] else f"data from {found['first']} on is not there yet"
            rows.append(
                VariantRow(
                    variant=name,
                    horizon=found["horizon"],
                    num_trades=found["num_trades"],
                    net_pnl=found["net_pnl"],
                    win_rate=found["win_rate"],
                    profit_factor=found["profit_factor"],
                    max_drawdown=found["max_drawdown"],
                    sharpe=found["sharpe"],
                    insufficient=short,
                )
            )
        longest = metrics[-1]["horizon"]
        manifest = json.loads(history.snapshot.content("backtest", partition, "manifest.json"))
        trades = history.snapshot.frame("backtest", partition, "trades.parquet")
        sheets[name] = {
            "metrics": {found["horizon"]: found for found in metrics},
            "trades": trades.filter(pl.col("horizon") == longest).drop("horizon"),
            "currency": manifest["currency"],
            "pictures": _curves(history, partition, name),
            "label": history.snapshot.content("backtest", partition, "label.txt").decode().strip(),
            "params": manifest["variant"]["params"],
            "strategy_version": manifest["strategy_version"],
            "commit": history.made_by("backtest", day, {"variant": name}),
        }
    return rows, sheets


def _curves(history: History, partition: Mapping[str, str], variant: str) -> list["Picture"]:
    """The pictures of a backtest; one that an older version of the platform made has none."""
    from trading.lab.artefacts import DRAWDOWN_PICTURE, EQUITY_PICTURE
    from trading.reports import Picture

    return [
        Picture(history.snapshot.content("backtest", partition, file), f"{what} of {variant}")
        for file, what in ((EQUITY_PICTURE, "equity"), (DRAWDOWN_PICTURE, "drawdown"))
        if history.snapshot.exists("backtest", partition, file)
    ]


def _decisions(settings: Settings, history: History, day: dt.date) -> list["DecisionRow"]:
    from trading.reports import DecisionRow, GateRow

    rows = []
    for name in variant_names(settings):
        if day not in history.sessions("promotion_decision", {"variant": name}):
            continue
        partition = {"session": day.isoformat(), "variant": name}
        content = json.loads(history.snapshot.content("promotion_decision", partition, "decisions.json"))
        for decision in content:
            rows.append(
                DecisionRow(
                    variant=name,
                    from_stage=decision["from_stage"],
                    to_stage=decision["to_stage"],
                    decided_by=decision["decided_by"],
                    reason=decision["reason"],
                    decision_id=decision["decision_id"],
                    gates=[
                        GateRow(gate["name"], gate["status"], gate["value"], gate["threshold"], gate["detail"])
                        for gate in decision["gates"]
                    ],
                )
            )
    return rows


def _orders(ledger: "Ledger", account: str, day: dt.date) -> list["OrderRow"]:
    from trading.reports import OrderRow

    fills: dict[str, list[Any]] = {}
    for fill in ledger.fills(account):
        fills.setdefault(fill.order_ref, []).append(fill)
    rows = []
    for intent, state in ledger.states(account, day).values():
        entries = [fill for fill in fills.get(intent.order_ref, []) if fill.leg == "entry"]
        exits = [fill for fill in fills.get(intent.order_ref, []) if fill.leg == "exit"]
        rows.append(
            OrderRow(
                order_ref=intent.order_ref,
                account=account,
                variant=intent.variant,
                symbol=intent.symbol,
                side=intent.side,
                qty=intent.qty,
                entry=intent.entry,
                sl=intent.stop,
                tp=intent.target,
                state=str(state.value),
                entry_price=entries[0].price if entries else None,
                exit_price=exits[-1].price if exits else None,
                exit_reason=exits[-1].reason if exits else "",
                pnl=sum(fill.realised for fill in (*entries, *exits)) if exits else None,
                reason=ledger.events(intent.idempotency_key)[-1].reason if not entries else "",
            )
        )
    return rows


def _faults(history: History, day: dt.date, min_coverage: float) -> list["FaultRow"]:
    from trading.reports import FaultRow

    rows = []
    for row in history.frame("bar_quality", [day]).sort("Symbol").iter_rows(named=True):
        symbol = row["Symbol"]
        if not row["passed"]:
            rows.append(FaultRow("m1_bars", symbol, "coverage", f"{row['coverage']:.3f}", f"{min_coverage:.3f}"))
        for name, what in (
            ("missing_minutes", "minutes without a bar"),
            ("exact_duplicates", "exact duplicate rows, one kept"),
            ("outliers", "outliers by robust z-score"),
        ):
            if row[name]:
                rows.append(FaultRow("m1_bars", symbol, what, str(row[name])))
    return rows
