"""Promotion decisions: session x variant, taken from pinned evidence and recorded in the ledger."""

import datetime as dt
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from resources.configurable import AlertsResource, ClockResource, LakeResource, LedgerResource
from trading_assets.code_version import platform_version
from trading_assets.configured import promotion_policy, sweep_names
from trading_assets.configured import variant as load_variant
from trading_assets.dataset import dataset
from trading_assets.engine_evidence import EngineEvidence
from trading_assets.execution_evidence import ExecutionEvidence
from trading_assets.history import History
from trading_assets.materialise import Materialised, Produce, Skipped, dimension_of, materialise_partitions, session_of
from trading_assets.pins import Pins
from trading_assets.publications import materialised
from trading_assets.settings import Settings
from trading_assets.stages import came_on_paper, recorded, recorded_approvals, stage_at
from trading_assets.sweep_evidence import SweepEvidence, VersionOf

if TYPE_CHECKING:
    from resources.lake import Commit
    from resources.ledger import Ledger
    from trading.ports.alerts import Alert
    from trading.promotion import Approval, Decision, Evidence
    from trading.promotion.policy import PromotionPolicy
    from trading.promotion.stages import Stage


def promotion_assets(settings: Settings, partitions: dg.MultiPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """promotion_decision."""

    @dataset(
        "promotion_decision",
        group="promotion",
        description="Which stage a variant stands on after a session, and why: every gate with its figure and threshold. "
        "A decision as of a session allows orders from the next session on.",
        sources=[
            "trading/promotion",
            "trading_assets/promotion.py",
            "trading_assets/sweep_evidence.py",
            "trading_assets/engine_evidence.py",
            "trading_assets/execution_evidence.py",
        ],
        partitions=partitions,
        deps=["backtest", "bar_quality", *_sweep_of_the_session(settings)],
        kinds=("polars", "parquet"),
    )
    def promotion_decision(
        context: dg.AssetExecutionContext,
        lake: LakeResource,
        ledger: LedgerResource,
        alerts: AlertsResource,
        clock: ClockResource,
    ) -> Iterator[dg.MaterializeResult[Any]]:
        publisher = lake.publisher(context, platform_version(), clock.now)

        def prepare(_: Sequence[str]) -> Produce:
            desk = DecisionDesk(settings, History(publisher.snapshot()), ledger.open(), clock.now())

            def produce(key: str) -> Materialised | Skipped:
                from trading.promotion.standing import standing_line

                name, as_of = dimension_of(key, "variant"), dt.date.fromisoformat(session_of(key))
                if as_of not in desk.history.sessions("backtest", {"variant": name}):
                    return Skipped(f"backtest of session {as_of} for {name} is not on main")
                decisions = desk.decide(name, as_of)
                reads = dict.fromkeys(("backtest", "bar_quality"), desk.history.pinned)
                for other in ("sweep", "engine_parity", "paper_parity"):
                    if other in decisions[0].evidence.commits:
                        reads[other] = desk.history.pinned
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
                new = desk.record(decisions, publication.commit_id, clock.now())
                last = decisions[-1]
                since = stage_at(settings, desk.ledger, name).since
                says = standing_line(last, str(since or as_of))
                if any(decision.moves for decision in new):
                    alerts.open().send(
                        moved_alert(new, says, clock.now(), f"{alerts.ui_url}/runs/{context.run.run_id}")
                    )
                return materialised(
                    publication,
                    len(decisions),
                    {
                        "standing": says,
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
    """Collects the evidence of a variant as of a session and decides on it; remembers what was decided before.

    Attributes:
        at: when; approvals older than the settings' ``approval_days`` are void.
        until: what the ledger was told later does not count; None = all counts.
        without: id of a decision that does not count either, because it is to be taken again.
        policy: None = the configured one. What was executed is evidence only where it permits a step to live.
    """

    settings: Settings
    history: History
    ledger: "Ledger"
    at: dt.datetime
    until: dt.datetime | None = None
    without: str = ""
    policy: "PromotionPolicy | None" = None
    _decided: dict[str, list["Decision"]] = field(default_factory=dict)
    _red_sessions: dict[dt.date, bool] | None = None

    def __post_init__(self) -> None:
        self._pins = Pins(self.history.snapshot.lake)
        self._sweeps = SweepEvidence(self.history)
        self._executions = ExecutionEvidence(self.history)
        self._engines = EngineEvidence(self.history)

    def decide(self, name: str, as_of: dt.date) -> tuple["Decision", ...]:
        """The decisions of one session, without recording them: pure but for what it reads."""
        from trading.promotion import decide_all

        evidence, stage = self.collected(load_variant(self.settings, name), as_of)
        return decide_all(evidence, promotion_policy(self.settings), stage)

    def collected(self, variant: VersionOf, as_of: dt.date) -> tuple["Evidence", "Stage"]:
        """The evidence of a session with all that was decided before it, and the stage that it begins on."""
        from trading.promotion import green_history, is_by_person, stage_before

        known = [decision for decision in self.earlier(variant.name) if decision.session <= as_of]
        before = [decision for decision in known if decision.session < as_of or is_by_person(decision)]
        evidence = self.evidence(variant, as_of, before)
        evidence = evidence.model_copy(update={"earlier_green": green_history(before, evidence)})
        evidence = evidence.model_copy(update={"approval": self._approval(evidence, known)})
        return evidence, stage_before(known, evidence)

    def _approval(self, evidence: "Evidence", known: list["Decision"]) -> "Approval | None":
        """A person's approval of this very evidence: given lately, or used by a decision of the session already."""
        used = [decision.evidence.approval for decision in known if decision.session == evidence.session]
        oldest = self.at - dt.timedelta(days=self.settings.approval_days)
        for given in recorded_approvals(self.ledger, evidence.variant, evidence.strategy_version):
            if given.evidence_hash == evidence.content_hash and (oldest <= given.at <= self.at or given in used):
                return given
        return None

    def record(self, decisions: tuple["Decision", ...], commit: str, at: dt.datetime) -> list["Decision"]:
        """Into the ledger, each once; the commits that they are published with and rest on are pinned by tags.

        Returns:
            Those that were not there before.
        """
        new = []
        known = {decision.decision_id for decision in self.ledger.decisions(decisions[0].variant)}
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
                recorded_now = w.record_decision(decision.to_dict(), at)
            self.earlier(decision.variant).append(decision)
            if recorded_now:  # another run may have been quicker
                new.append(decision)
        return new

    def _backtest(self, decision: "Decision") -> "Commit":
        from resources.lake.provenance import made_by

        partition = {"session": decision.session.isoformat(), "variant": decision.variant}
        return made_by(self.history.snapshot, "backtest", partition)

    def earlier(self, name: str) -> list["Decision"]:
        """All recorded decisions of a variant that count, in order of (session, recording)."""
        if name not in self._decided:
            known = recorded(self.ledger, name, until=self.until).decisions
            self._decided[name] = [decision for decision in known if decision.decision_id != self.without]
        return self._decided[name]

    def evidence(self, variant: VersionOf, as_of: dt.date, earlier: list["Decision"]) -> "Evidence":
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
        engine = self._engines.of(variant, as_of)
        since = came_on_paper(earlier, (manifest["strategy_version"], manifest["config_hash"]))
        permits_live = (self.policy or promotion_policy(self.settings)).paper_to_live is not None
        executed = self._executions.of(variant, since, as_of) if permits_live else None
        return Evidence(
            variant=variant.name,
            strategy_version=manifest["strategy_version"],
            config_hash=manifest["config_hash"],
            session=as_of,
            commits={
                "backtest": self.history.made_by("backtest", as_of, {"variant": variant.name}),
                **manifest["inputs"],
                **({} if swept is None else {"sweep": dict(swept[1])}),
                **({} if engine is None else {"engine_parity": dict(engine[1])}),
                **({} if executed is None else {"paper_parity": executed[1]}),
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
            engine_parity=None if engine is None else engine[0],
            execution=None if executed is None else executed[0],
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
            for switch in self.ledger.engaged_switches(self.until)
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


def moved_alert(moved: Sequence["Decision"], says: str, at: dt.datetime, link: str) -> "Alert":
    """What a person is told of a change of stage; ``says`` is where the version stands now and what it lacks."""
    from trading.ports.alerts import Alert

    first, last = moved[0], moved[-1]
    down = any(decision.to_stage in ("suspended", "retired") for decision in moved)
    reasons = "; ".join(decision.reason for decision in moved if decision.moves)
    return Alert(
        title=f"{last.variant}: {first.from_stage} to {last.to_stage}",
        severity="warning" if down else "info",
        at=at,
        what=f"{says}. {reasons}",
        asset="promotion_decision",
        partition=f"{last.session}|{last.variant}",
        link=link,
        command=f"trading decision show {last.decision_id}",
        dedupe_key=f"decision-{first.decision_id}",
    )


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
