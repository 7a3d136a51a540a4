"""What is done for an account's session: build its batch, route it, reconcile, value the books."""

import datetime as dt
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

import dagster as dg
import polars as pl

from resources.configurable import BrokerResource
from trading.errors import ConfigError, OrderError
from trading.live import ALLOW_LIVE, environment_refusal
from trading_assets.adjusted import Actions
from trading_assets.bars import BAR_ASSETS
from trading_assets.code_version import platform_version
from trading_assets.configured import account as load_account
from trading_assets.configured import variant as load_variant
from trading_assets.configured import variant_names
from trading_assets.difference_alerts import difference_alert
from trading_assets.history import History
from trading_assets.lineage import trace
from trading_assets.live import live_permission
from trading_assets.materialise import (
    Materialised,
    Skipped,
)
from trading_assets.order_frames import differences_frame, events_frame, fills_frame, positions_frame, worth_frame
from trading_assets.pins import Pins
from trading_assets.portfolio import Recomputation
from trading_assets.publications import contract_audit, materialised
from trading_assets.settings import Settings
from trading_assets.stages import stage_at
from trading_assets.universes import load_universes
from trading_assets.win_rates import win_rate_references

if TYPE_CHECKING:
    from resources.lake.publish import Publisher
    from resources.ledger import Ledger
    from resources.router import RoutingReport
    from trading.accounts import AccountConfig
    from trading.orders import OrderIntent
    from trading.ports.alerts import AlertSink
    from trading.risk import Breach
    from trading.sessions import SessionCalendar
    from trading.variants import Variant

# Stages whose variants an account of that mode trades.
TRADED_STAGES = {"paper": ("paper", "live"), "live": ("live",)}


@dataclass
class TradingDesk:
    """Builds, routes and values the sessions of accounts for one run; all reads at one commit."""

    settings: Settings
    publisher: "Publisher"
    ledger: "Ledger"
    brokers: BrokerResource
    alerts: "AlertSink"
    link: str
    _recomputed: dict[str, Recomputation] = field(default_factory=dict)
    _batches: dict[tuple[str, dt.date], tuple[list["OrderIntent"], str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.history = History(self.publisher.snapshot())
        self.actions = Actions.at(self.history.snapshot)
        self.universes = load_universes(self.settings)
        self._pins = Pins(self.publisher.lake)
        self.steps: Mapping[str, Callable[[str, dt.date], Materialised | Skipped]] = {
            "order_batch": self.build,
            "order_routing": self.route,
            "reconciliation": self.reconcile,
            "portfolio_worth": self.value,
        }

    def build(self, account: str, session: dt.date) -> Materialised | Skipped:
        """The account's intents of the session, published with their CSV of legs."""
        from trading.orders import batch_frame, legs_csv, within_budget

        config = self._tradable(account)
        if session not in self.history.sessions("m1_bars"):
            return Skipped(f"session {session} has no bars on main")
        if not self._calendar(config).is_session(session):
            return Skipped(f"{session} is no session of {self._calendar(config).name}, where {account} trades")
        wished: list[OrderIntent] = []
        notes: dict[str, str] = {}
        reads: dict[str, str] = {}
        for variant in self._variants(config):
            standing = stage_at(self.settings, self.ledger, variant.name, session)
            if standing.stage not in TRADED_STAGES[config.mode]:
                notes[variant.name] = f"stands on {standing.stage}: no orders" + (
                    f"; {standing.says_replaced}" if standing.replaced else ""
                )
                continue
            if session not in self.history.sessions("signals", {"variant": variant.name}):
                raise OrderError(
                    f"order_batch {account} {session}: signals of {variant.name} are not on main; materialise them first"
                )
            intents = self._intents(config, variant, session, standing.decision_id)
            notes[variant.name] = f"{len(intents)} orders, {standing.stage} by decision {standing.decision_id}"
            if config.mode == "live":
                allowed = standing.live_symbols
                left_out = sorted({intent.symbol for intent in intents} - allowed)
                intents = [intent for intent in intents if intent.symbol in allowed]
                notes[variant.name] = (
                    f"{len(intents)} orders, live by decision {standing.decision_id}; may trade live: "
                    f"{' '.join(sorted(allowed)) or 'no Symbol'}; left out: {' '.join(left_out) or 'none'}"
                )
            wished += intents
            reads |= {"signals": self.history.pinned, BAR_ASSETS[variant.timeframe]: self.history.pinned}
        equity = sum(self._equity(config, name, session) for name in config.variants)
        budget = within_budget(wished, equity=equity, max_batch_risk_pct=config.limits.max_batch_risk_pct)
        # what the ledger has is what was wished; a later batch does not rewrite it
        recorded = {intent.idempotency_key: intent for intent in self.ledger.intents(session, account)}
        intents = [recorded.get(intent.idempotency_key, intent) for intent in budget.kept]
        publication = self.publisher.publish(
            "order_batch",
            {"session": session.isoformat(), "account": account},
            {"data.parquet": batch_frame(intents), "legs.csv": legs_csv(intents).encode()},
            audit=contract_audit("order_batch", f"order_batch {account} {session}"),
            inputs=reads,
            since=self.history.pinned,
        )
        self._batches[account, session] = intents, publication.commit_id
        if intents:
            self._pins.tag(f"batch-{account}-{session}-{publication.data_version[:12]}", publication.commit_id)
            self._pin_lineage(intents, session)
        return materialised(
            publication,
            len(intents),
            {
                "account": account,
                "orders": len(intents),
                "setups": len({intent.oco_id for intent in intents}),
                "notional": sum(intent.notional for intent in intents),
                "at_risk": budget.at_risk,
                "left_out_by_max_batch_risk_pct": len(budget.left_out),
                "currency": config.currency,
                "variants": dg.MetadataValue.json(notes),
            },
            reads=reads,
        )

    def route(self, account: str, session: dt.date) -> Materialised | Skipped:
        """Send the batch and play the session at the broker."""
        from resources.health import HealthProbe
        from resources.router import Router
        from trading.orders import intents_from_batch

        config = self._tradable(account)
        partition = {"session": session.isoformat(), "account": account}
        if (account, session) in self._batches:
            intents, batch_commit = self._batches[account, session]
        elif self.publisher.exists(self.history.pinned, "order_batch", partition):
            batch_commit = self.history.pinned
            intents = intents_from_batch(self.publisher.read_frame(batch_commit, "order_batch", partition))
        else:
            return Skipped(f"order_batch of {account} {session} is not on main: materialise it first")
        variants = {variant.name: variant for variant in self._variants(config)}
        bars = {name: self._session_bars(variant, session) for name, variant in variants.items()}
        calendar = self._calendar(config)
        broker = self.brokers.open_fed(config)
        router = Router(
            self.ledger, broker, calendar, live=live_permission(self.settings, self.ledger),
            health=HealthProbe(self.ledger, self.publisher.lake, broker),
        )  # fmt: skip
        symbols = {symbol for frame in bars.values() for symbol in frame["Symbol"].unique()}
        symbols |= {position.symbol for position in broker.positions(account)}
        symbols |= {order.symbol for order in broker.open_orders(account)}
        report = router.route_session(
            config,
            session,
            intents,
            bars,
            variants,
            self.universes.instruments(symbols),
            win_rate_references(self.settings, self.ledger, variants, session),
        )
        for breach in report.breaches:
            self._alert(account, session, breach)
        if report.differences:
            self.alerts.send(
                difference_alert(
                    account, calendar.close(session), report.differences, report.left, link=self.link,
                    key=f"differences:{account}:{session}:{len(report.differences)}",
                )
            )  # fmt: skip
        after, until = calendar.close(calendar.previous(session)), calendar.close(session)
        events = events_frame(self.ledger.events_between(account, after, until), session)
        reads = {"order_batch": batch_commit}
        reads |= {BAR_ASSETS[variant.timeframe]: self.history.pinned for variant in variants.values()}
        publication = self.publisher.publish(
            "order_routing",
            partition,
            {
                "data.parquet": events,
                "fills.parquet": fills_frame(self.ledger.fills(account, session=session)),
            },
            audit=None,
            inputs=reads,
        )
        return materialised(publication, events.height, self._routing_figures(report), reads=reads)

    def reconcile(self, account: str, session: dt.date) -> Materialised | Skipped:
        """Differences between broker and ledger that were found in the session."""
        from resources.reconcile import DifferenceKind

        found = [
            event
            for event in self.ledger.risk_events(account, session=session)
            if event.kind in get_args(DifferenceKind) and event.severity == "error"
        ]
        publication = self.publisher.publish(
            "reconciliation",
            {"session": session.isoformat(), "account": account},
            {"data.parquet": differences_frame(found)},
            audit=None,
            inputs={},
        )
        if found:
            raise OrderError(
                f"reconciliation {account} {session}: {len(found)} difference(s) between broker and ledger, the first "
                f"{found[0].kind}: {found[0].detail}"
            )
        return materialised(publication, 0, {"account": account, "differences": 0})

    def value(self, account: str, session: dt.date) -> Materialised | Skipped:
        """Worth of each book at the session's close, as the router recorded it, held against the fills."""
        worth = self.ledger.worth(account, session=session)
        if not worth:
            return Skipped(f"session {session} of account {account} is not routed: materialise order_routing first")
        recomputed = self._recomputed.setdefault(account, Recomputation(self.ledger, account))
        differences = recomputed.differences(session)
        if differences:
            raise OrderError(
                f"portfolio_worth {account} {session}: {len(differences)} figure(s) do not come out of the fills, the first: "
                f"{differences[0]}"
            )
        positions = self.ledger.positions(account, session)
        currency = load_account(self.settings, account).currency
        publication = self.publisher.publish(
            "portfolio_worth",
            {"session": session.isoformat(), "account": account},
            {"data.parquet": worth_frame(worth, currency), "positions.parquet": positions_frame(positions, currency)},
            audit=None,
            inputs={},
        )
        return materialised(
            publication,
            len(worth),
            {
                "account": account,
                "equity": sum(item.equity for item in worth),
                "pnl": sum(item.pnl for item in worth),
                "trades": sum(item.trades for item in worth),
                "deepest_drawdown": max(item.drawdown for item in worth),
                "positions": len(positions),
                "gross_exposure": sum(item.exposure for item in positions),
                "net_exposure": sum(item.side * item.exposure for item in positions),
                "currency": currency,
                # kept outside of the ledger: `trading ledger verify --against` takes them
                "ledger_heads": dg.MetadataValue.json(self.ledger.heads()),
            },
        )

    def _tradable(self, account: str) -> "AccountConfig":
        """The account's config, unless it is of mode live and this process may not trade it."""
        config = load_account(self.settings, account)
        if config.mode == "live":
            refused = environment_refusal(config, os.environ.get(ALLOW_LIVE))
            if refused is not None:
                raise OrderError(refused)
        return config

    def _equity(self, config: "AccountConfig", variant: str, session: dt.date) -> float:
        """Realised equity of the book as of the session before."""
        last = self.ledger.last_worth(config.name, variant, session)
        return config.variants[variant].capital if last is None else last.realised

    def _variants(self, config: "AccountConfig") -> list["Variant"]:
        known = variant_names(self.settings)
        unknown = sorted(set(config.variants) - set(known))
        if unknown:
            raise ConfigError(f"account {config.name}: variants {', '.join(unknown)} are not in configs/runs/")
        return [load_variant(self.settings, name) for name in sorted(config.variants)]

    def _calendar(self, config: "AccountConfig") -> "SessionCalendar":
        """The calendar that the account's sessions are counted on; ConfigError where its variants trade on several."""
        from trading.sessions import get_calendar

        names = {self.universes.calendar_of(v.name, v.universe) for v in self._variants(config)}
        if len(names) != 1:
            raise ConfigError(
                f"account {config.name}: its variants trade on {', '.join(sorted(names))}; an account trades on one "
                "calendar, so give each of them an account of its own"
            )
        return get_calendar(names.pop())

    def _signals(self, variant: "Variant", session: dt.date, calendar: "SessionCalendar") -> pl.DataFrame:
        """The variant's signals of the session, their levels on the share count of the sessions that they trade in.

        An order that would live over an ex_date in the midst of its validity is left out: its levels cannot be right on
        both sides of it.
        """
        signals = self.history.frame("signals", [session], {"variant": variant.name})
        last = session
        for _ in range(variant.replay.valid_sessions):
            last = calendar.next(last)
        if last == session:
            return signals
        first = calendar.next(session) if variant.timeframe == "1d" else session
        crossing = self.actions.in_force(first, last)
        return self.actions.levels(signals, session, first).filter(~pl.col("Symbol").is_in(crossing))

    def _intents(
        self, config: "AccountConfig", variant: "Variant", session: dt.date, decision_id: str
    ) -> list["OrderIntent"]:
        from resources.market_heat import HeatRecord
        from trading.orders import Lineage, build_intents

        fixed = {"variant": variant.name}
        calendar = self._calendar(config)
        signals = self._signals(variant, session, calendar)
        bars = BAR_ASSETS[variant.timeframe]
        return build_intents(
            signals,
            variant=variant,
            account=config,
            session=session,
            equity=self._equity(config, variant.name, session),
            instruments=self.universes.instruments(signals["Symbol"].unique()),
            calendar=calendar,
            lineage=Lineage(
                commits={
                    "signals": self.history.made_by("signals", session, fixed),
                    bars: self.history.made_by(bars, session),
                },
                code_version=platform_version(),
                config_hash=variant.config_hash,
                decision_id=decision_id,
            ),
            closed_pnls=self._closed_pnls(config.name, variant.name),
            size_factor=HeatRecord(self.ledger, config, session).factor,
        )

    def _closed_pnls(self, account: str, variant: str) -> list[float]:
        """Results of the book's closed trades, in order of exit."""
        from resources.closed_trades import closed_trades

        held = {position.order_ref for position in self.ledger.open_positions(account)}
        return [trade.pnl for trade in closed_trades(self.ledger.fills(account, variant), held)]

    def _session_bars(self, variant: "Variant", session: dt.date) -> pl.DataFrame:
        asset = BAR_ASSETS[variant.timeframe]
        if session not in self.history.sessions(asset):
            raise OrderError(f"{asset} of session {session} is not on main: the books cannot be played without it")
        return self.history.frame(asset, [session]).drop("minutes", "complete").sort("Symbol", "Timestamp")

    def _alert(self, account: str, session: dt.date, breach: "Breach") -> None:
        """A breaker tripped while the session was played: the router has stopped the scope, a person must know."""
        from trading.ports.alerts import Alert

        self.alerts.send(
            Alert(
                title=f"Circuit breaker {breach.breaker}: {breach.scope} stopped",
                severity="critical",
                at=self._calendar(load_account(self.settings, account)).close(session),
                what=f"{breach.says}. Open orders are cancelled, new ones refused; positions keep their stops",
                asset="order_routing",
                partition=f"{account}|{session}",
                account=account,
                figure=f"{breach.figure:.2f}",
                limit=f"{breach.limit:g}",
                link=self.link,
                command=f"trading status; when the cause is mended: trading resume {breach.scope} --by NAME --reason TEXT",
                dedupe_key=breach.breach_id,
            )
        )

    def _pin_lineage(self, intents: list["OrderIntent"], session: dt.date) -> None:
        """Tag every commit behind the batch, so that no retention ever ends what `trading explain` can show."""
        lake = self.history.snapshot.lake
        for variant, commit in {(intent.variant, intent.lineage.commits["signals"]) for intent in intents}:
            for step in trace(lake, commit, "signals", {"session": session.isoformat(), "variant": variant}):
                self._pins.lineage((step.commit, *step.inputs.values()))

    @staticmethod
    def _routing_figures(report: "RoutingReport") -> dict[str, Any]:
        return {
            "account": report.account,
            "orders": report.intents,
            "sent": report.sent,
            "already_routed": report.already_routed,
            "entries": report.entries,
            "exits": report.exits,
            "outcomes": dg.MetadataValue.json(dict(report.outcomes)),
            "refused_by_gate": dg.MetadataValue.json(dict(report.refused)),
            "breaches": dg.MetadataValue.json([breach.says for breach in report.breaches]),
        }
