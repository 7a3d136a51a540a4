"""What persons decide: approving a step to live, and moving a version down, out or back."""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trading.errors import DataError
from trading_assets.configured import promotion_policy
from trading_assets.configured import variant as load_variant
from trading_assets.history import History
from trading_assets.promotion import DecisionDesk
from trading_assets.settings import Settings
from trading_assets.stages import stage_at

if TYPE_CHECKING:
    from resources.lake import Lake
    from resources.ledger import Approval, Ledger
    from trading.promotion import Decision, Evidence
    from trading.promotion.stages import Stage


@dataclass(frozen=True)
class Approved:
    """An approval on record.

    Attributes:
        session: as of which the evidence is.
        renews: the version is live already; the approval lets it go on.
    """

    approval: "Approval"
    session: dt.date
    renews: bool


def open_desk(settings: Settings, lake: "Lake", ledger: "Ledger", at: dt.datetime) -> DecisionDesk:
    """A desk on what main holds now."""
    from resources.lake.reading import Snapshot

    return DecisionDesk(settings, History(Snapshot(lake, lake.resolve("main@"))), ledger, at)


def approve(desk: DecisionDesk, name: str, *, by: str, reason: str) -> Approved:
    """Record a person's yes to live trading of the configured version on its newest evidence.

    It is bound to the strategy version and to the hash of the whole evidence, commits included: it holds for no other version,
    session or data. A version on paper must have nothing missing but the approval; for one on live it renews the approval.

    Raises:
        DataError: no person's name, no reason, the version is on another stage, a gate is not green, or this person has
            approved this evidence before.
    """
    from trading.promotion.evidence import person

    try:
        who = person(by)
    except ValueError as error:
        raise DataError(f"approval of {name}: {error}") from None
    if not reason.strip():
        raise DataError(f"approval of {name}: it needs a reason")
    standing = stage_at(desk.settings, desk.ledger, name)
    renews = standing.stage == "live" and standing.held_by is not None
    evidence = standing.held_by.evidence if renews and standing.held_by else _ready(desk, name, standing.stage)
    given = _row(evidence, who, reason.strip(), desk.at)
    if not desk.ledger.record_approval(given):
        raise DataError(
            f"approval of {name}: {who} has approved evidence {evidence.content_hash[:12]} as of {evidence.session} before; "
            "an approval holds once, for later evidence another one is given"
        )
    return Approved(given, evidence.session, renews)


def _row(evidence: "Evidence", who: str, reason: str, at: dt.datetime) -> "Approval":
    from resources.ledger import Approval

    return Approval(evidence.variant, evidence.strategy_version, evidence.content_hash, who, reason, at)


def _ready(desk: DecisionDesk, name: str, stage: str) -> "Evidence":
    """The newest evidence of a version on paper of which only the approval is missing."""
    if stage != "paper":
        raise DataError(
            f"approval of {name}: it stands on {stage}; a version on paper can be approved, or a live one anew"
        )
    if promotion_policy(desk.settings).paper_to_live is None:
        raise DataError(
            f"approval of {name}: policy {promotion_policy(desk.settings).name} permits no live trading (paper_to_live: null)"
        )
    session = newest_backtest(desk, name)
    decision = desk.decide(name, session)[-1]
    missing = [gate for gate in decision.missing if gate.name != "approval"]
    if decision.from_stage != "paper" or missing:
        says = "; ".join(str(gate) for gate in missing) or decision.reason
        raise DataError(f"approval of {name} as of {session}: there is nothing to approve yet: {says}")
    return decision.evidence


def newest_backtest(desk: DecisionDesk, name: str) -> dt.date:
    """As-of session of the newest backtest on main."""
    sessions = desk.history.sessions("backtest", {"variant": name})
    if not sessions:
        raise DataError(f"{name}: no backtest of it is on main; materialise one first")
    return sessions[-1]


def move(desk: DecisionDesk, name: str, to_stage: "Stage", *, by: str, reason: str) -> "Decision":
    """Record a person's move of the configured version, as of its newest backtest; it holds from the next session on.

    Raises:
        DataError: a move that is not a person's to make, no name, or no reason.
    """
    from trading.promotion import decide_by_person

    session = newest_backtest(desk, name)
    evidence, stage = desk.collected(load_variant(desk.settings, name), session)
    standing = stage_at(desk.settings, desk.ledger, name)
    if stage != standing.stage:  # it came there in this session: its stage has no earlier ones
        evidence = evidence.model_copy(update={"earlier_green": ()})
    policy = promotion_policy(desk.settings)
    decision = decide_by_person(evidence, policy, _stage(standing.stage), to_stage, by=by, reason=reason)
    desk.record((decision,), desk.history.pinned, desk.at)
    return decision


def _stage(name: str) -> "Stage":
    from typing import get_args

    from trading.promotion.stages import Stage

    for stage in get_args(Stage):
        if stage == name:
            return stage  # type: ignore[no-any-return]
    raise AssertionError(f"no stage is called {name}")
