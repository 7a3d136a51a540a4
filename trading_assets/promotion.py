"""Promotion decisions: session x variant, taken from pinned evidence and recorded in the ledger."""

import datetime as dt
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from resources.configurable import ClockResource, LakeResource, LedgerResource
from trading_assets.code_version import platform_version
from trading_assets.configured import promotion_policy, sweep_names
from trading_assets.configured import variant as load_variant
from trading_assets.dataset import dataset
from trading_assets.history import History
from trading_assets.materialise import Materialised, Produce, Skipped, dimension_of, materialise_partitions, session_of
from trading_assets.pins import Pins
from trading_assets.publications import materialised
from trading_assets.settings import Settings
from trading_assets.sweep_evidence import SweepEvidence

if TYPE_CHECKING:
    from resources.lake import Commit
    from resources.ledger import Ledger
    from trading.promotion import Decision, Evidence
    from trading.variants import Variant


def promotion_assets(settings: Settings, partitions: dg.MultiPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """promotion_decision."""

    @dataset(
        "promotion_decision",
        group="promotion",
        description="Which stage a variant stands on after a session, and why: every gate with its figure and threshold. "
        "A decision as of a session allows orders from the next session on.",
        sources=["trading/promotion", "trading_assets/promotion.py", "trading_assets/sweep_evidence.py"],
        partitions=partitions,
        deps=["backtest", "bar_quality", *_sweep_of_the_session(settings)],
        kinds=("polars", "parquet"),
    )
    def promotion_decision(
        context: dg.AssetExecutionContext, lake: LakeResource, ledger: LedgerResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        publisher = lake.publisher(context, platform_version(), clock.now)

        def prepare(_: Sequence[str]) -> Produce:
            desk = DecisionDesk(settings, History(publisher.snapshot()), ledger.open())

            def produce(key: str) -> Materialised | Skipped:
                name, as_of = dimension_of(key, "variant"), dt.date.fromisoformat(session_of(key))
                if as_of not in desk.history.sessions("backtest", {"variant": name}):
                    return Skipped(f"backtest of session {as_of} for {name} is not on main")
                decisions = desk.decide(name, as_of)
                reads = dict.fromkeys(("backtest", "bar_quality"), desk.history.pinned)
                if "sweep" in decisions[0].evidence.commits:
                    reads["sweep"] = desk.history.pinned
                publication = publisher.publish(
                    "promotion_decision",
                    {"session": as_of.isoformat(), "variant": name},
                    {
                        "data.parquet": decisions_frame(decisions),
                        "gates.parquet": gates_frame(decisions),
                        "decisions.json": _json([decision.to_dict() for decision in decisions]),
                    },
                    audit=None,
                    inputs=reads,
                    since=desk.history.pinned,
                )
                desk.record(decisions, publication.commit_id, clock.now())
                last = decisions[-1]
                return materialised(
                    publication,
                    len(decisions),
                    {
                        "stage": last.to_stage,
                        "came_from": decisions[0].from_stage,
                        "decision_ids": ", ".join(decision.decision_id for decision in decisions),
                        "strategy_version": last.strategy_version,
                        "policy": last.policy.name,
                        "reason": last.reason,
                        "gates": dg.MetadataValue.md(_gates_table(last)),
                    },
                    reads=reads,
                )

            return produce

        yield from materialise_partitions(context, "promotion_decision", prepare)

    return [promotion_decision]


def _sweep_of_the_session(settings: Settings) -> list[dg.AssetDep]:
    """The sweeps as of the same session; a decision takes an older one where there is none."""
    if not sweep_names(settings):
        return []
    same = dg.DimensionPartitionMapping("session", dg.IdentityPartitionMapping())
    return [dg.AssetDep("sweep", partition_mapping=dg.MultiPartitionMapping({"session": same}))]


@dataclass
class DecisionDesk:
    """Collects the evidence of a variant as of a session and decides on it; remembers what was decided before."""

    settings: Settings
    history: History
    ledger: "Ledger"
    _decided: dict[str, list["Decision"]] = field(default_factory=dict)
    _red_sessions: dict[dt.date, bool] | None = None

    def __post_init__(self) -> None:
        self._pins = Pins(self.history.snapshot.lake)
        self._sweeps = SweepEvidence(self.history)

    def decide(self, name: str, as_of: dt.date) -> tuple["Decision", ...]:
        """The decisions of one session, without recording them: pure but for what it reads."""
        from trading.promotion import decide_all, green_history, stage_before

        variant = load_variant(self.settings, name)
        earlier = [decision for decision in self.earlier(name) if decision.session < as_of]
        evidence = self.evidence(variant, as_of, earlier)
        evidence = evidence.model_copy(update={"earlier_green": green_history(earlier, evidence)})
        return decide_all(evidence, promotion_policy(self.settings), stage_before(earlier, evidence))

    def record(self, decisions: tuple["Decision", ...], commit: str, at: dt.datetime) -> None:
        """Into the ledger, each once; the commits that they are published with and rest on are pinned by tags."""
        known = {decision.decision_id for decision in self.earlier(decisions[0].variant)}
        for decision in decisions:
            if decision.decision_id in known:
                continue
            self._pins.tag(f"decision-{decision.decision_id}", commit)
            self._pins.publication(self._backtest(decision))
            self._pins.lineage([self.history.pinned])
            with self.ledger.write() as w:
                for horizon in decision.evidence.horizons:
                    w.record_backtest(
                        decision.variant,
                        decision.strategy_version,
                        decision.session,
                        horizon.horizon,
                        str(decision.evidence.commits["backtest"]),
                        horizon.metrics or {},
                    )
                w.record_decision(decision.to_dict(), at)
            self.earlier(decision.variant).append(decision)

    def _backtest(self, decision: "Decision") -> "Commit":
        from resources.lake.provenance import made_by

        partition = {"session": decision.session.isoformat(), "variant": decision.variant}
        return made_by(self.history.snapshot, "backtest", partition)

    def earlier(self, name: str) -> list["Decision"]:
        """All recorded decisions of a variant, in order of (session, recording)."""
        from trading.promotion import Decision

        if name not in self._decided:
            self._decided[name] = [Decision.from_dict(found.content) for found in self.ledger.decisions(name)]
        return self._decided[name]

    def evidence(self, variant: "Variant", as_of: dt.date, earlier: list["Decision"]) -> "Evidence":
        """What is known of ``variant`` as of a session, read from the published backtest at the pinned commit."""
        from trading.promotion import DataQuality, Evidence, HorizonEvidence, Robustness, SymbolEvidence

        partition = {"session": as_of.isoformat(), "variant": variant.name}
        snapshot = self.history.snapshot
        manifest = json.loads(snapshot.content("backtest", partition, "manifest.json"))
        metrics = snapshot.frame("backtest", partition)
        trades = snapshot.frame("backtest", partition, "trades.parquet")
        plain = ("session", "variant", "horizon", "first", "last", "expected", "available", "reaches_back", "currency")
        horizons = tuple(
            HorizonEvidence(
                **{name: row[name] for name in plain[2:-1]},
                metrics={name: value for name, value in row.items() if name not in plain},
            )
            for row in metrics.iter_rows(named=True)
        )
        by_symbol = trades.sort("Symbol", "horizon", maintain_order=True).partition_by(
            "Symbol", "horizon", as_dict=True, maintain_order=True
        )
        first = min((horizon.first for horizon in horizons), default=as_of)
        used = [day for day in self.quality() if first <= day <= as_of]
        causality = manifest["causality"]
        swept = self._sweeps.of(variant, as_of)
        return Evidence(
            variant=variant.name,
            strategy_version=manifest["strategy_version"],
            config_hash=manifest["config_hash"],
            session=as_of,
            commits={
                "backtest": self.history.made_by("backtest", as_of, {"variant": variant.name}),
                **manifest["inputs"],
                **({} if swept is None else {"sweep": dict(swept[1])}),
            },
            code_version=manifest["code_version"],
            calendar_version=f"exchange_calendars {manifest['packages']['exchange-calendars']} {self.settings.calendar}",
            package_versions=manifest["packages"],
            contract_ok=True,  # nothing that breaks its contract is ever on main
            causality_ok=causality["passed"] if causality["conclusive"] or not causality["passed"] else None,
            horizons=horizons,
            symbols=tuple(
                # fsum, because a sum whose last bit depends on threads would make the same evidence look new
                SymbolEvidence(
                    symbol=symbol,
                    horizon=horizon,
                    num_trades=found.height,
                    expectancy=math.fsum(found["pnl"]) / found.height,
                )
                for (symbol, horizon), found in by_symbol.items()
            ),
            data_quality=DataQuality(
                partitions=len(used),
                failed=tuple(f"bar_quality {day}" for day in used if not self.quality()[day]),
            ),
            robustness=Robustness() if swept is None else swept[0],
            breakers=self._breakers(variant.name, as_of),
            superseded=self._superseded(variant.name, earlier),
        )

    def quality(self) -> dict[dt.date, bool]:
        """Whether every Symbol of a session has the minimum coverage, by session."""
        if self._red_sessions is None:
            days = self.history.sessions("bar_quality")
            table = self.history.frame("bar_quality", days)
            rows = table.group_by("session").agg(pl.col("passed").all()).iter_rows() if days else iter(())
            self._red_sessions = dict(rows)
        return self._red_sessions

    def _breakers(self, name: str, as_of: dt.date) -> tuple[str, ...]:
        """Kill switches engaged for the variant itself up to the session."""
        return tuple(
            f"{switch.scope}: {switch.reason}"
            for switch in self.ledger.engaged_switches()
            if (switch.scope == f"variant:{name}" or switch.scope.endswith(f"/{name}"))
            and (switch.at is None or switch.at.date() <= as_of)
        )

    def _superseded(self, name: str, earlier: list["Decision"]) -> tuple[str, ...]:
        """Inputs of the decision that gave the variant its stage which have been corrected since."""
        moving = [decision for decision in earlier if decision.moves]
        if not moving:
            return ()
        decision = moving[-1]
        found = []
        for dataset_name, pins in decision.evidence.commits.items():
            if not isinstance(pins, dict) or "commits_sha256" not in pins:
                continue
            fixed = {"variant": name} if dataset_name == "signals" else None
            first, last = (dt.date.fromisoformat(str(pins[end])) for end in ("first", "last"))
            days = [day for day in self.history.sessions(dataset_name, fixed) if first <= day <= last]
            if self.history.fingerprint(dataset_name, days, fixed).get("commits_sha256") != pins["commits_sha256"]:
                found.append(f"{dataset_name} {first} to {last} changed since decision {decision.decision_id}")
        return tuple(found)


def decisions_frame(decisions: tuple["Decision", ...]) -> pl.DataFrame:
    """One row per decision."""
    return pl.DataFrame(
        [
            {
                "decision_id": decision.decision_id,
                "session": decision.session,
                "variant": decision.variant,
                "strategy_version": decision.strategy_version,
                "from_stage": decision.from_stage,
                "to_stage": decision.to_stage,
                "decided_by": decision.decided_by,
                "policy": decision.policy.name,
                "green": decision.green,
                "reason": decision.reason,
            }
            for decision in decisions
        ]
    )


def gates_frame(decisions: tuple["Decision", ...]) -> pl.DataFrame:
    """One row per decision and gate: figure, threshold, status."""
    rows = [
        {"decision_id": decision.decision_id, **gate.model_dump(mode="json")}
        for decision in decisions
        for gate in decision.gates
    ]
    return pl.DataFrame(
        [{name: None if value is None else str(value) for name, value in row.items()} for row in rows],
        schema=dict.fromkeys(rows[0] if rows else ("decision_id",), pl.String),
    )


def _gates_table(decision: "Decision") -> str:
    lines = ["| gate | figure | threshold | status |", "|---|---|---|---|"]
    lines += [
        f"| {gate.name} | {_figure(gate.value)} | {_figure(gate.threshold)} | {gate.status} |"
        for gate in decision.gates
    ]
    return "\n".join(lines)


def _figure(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()
