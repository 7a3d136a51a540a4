"""Where a variant stands: the stage that its decisions have led to, for the version that is configured now."""

import datetime as dt
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from trading_assets.configured import variant as load_variant
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from resources.ledger import Decision as Row
    from resources.ledger import Ledger
    from trading.promotion import Approval, Decision, Record

_ALWAYS = dt.date(9999, 12, 31)
_TABLES = ("promotion_decisions", "approvals")


@dataclass(frozen=True)
class Standing:
    """The stage of a variant before a session.

    Attributes:
        decision_id, since: of the decision that led there; empty and None for none.
        held_by: the newest decision that holds the version there; None for none.
        doubts: recorded decisions that do not count, and why.
        replaced: the newest decision on another version of the variant, where that one stands on paper or live: code,
            parameters or settings were changed since, and it gives no orders any more.
    """

    variant: str
    strategy_version: str
    stage: str
    decision_id: str
    since: dt.date | None
    held_by: "Decision | None" = None
    doubts: tuple[str, ...] = ()
    replaced: "Decision | None" = None

    @property
    def live_symbols(self) -> frozenset[str]:
        """Symbols that the newest decision lets trade live."""
        on_live = self.held_by is not None and self.stage == "live"
        return frozenset(self.held_by.live_symbols) if on_live and self.held_by else frozenset()

    @property
    def says_replaced(self) -> str:
        """One line about the version that was replaced."""
        if self.replaced is None:
            return ""
        return (
            f"version {self.replaced.strategy_version}, settings {self.replaced.evidence.config_hash}, stood on "
            f"{self.replaced.to_stage} until {self.variant} was changed: it gives no new orders, what it holds keeps its stops"
        )


def stage_at(settings: Settings, ledger: "Ledger", name: str, before: dt.date | None = None) -> Standing:
    """Stage of the configured version of ``name`` when session ``before`` begins (None: after all decisions).

    Only decisions as of earlier sessions count, so that what a session showed never lets its own orders through; and of
    those only the ones that :func:`trading.promotion.examine` finds borne out. Where a row of the record is not what was
    written, nothing can be said of any stage, and the variant counts as suspended.
    """
    from trading.promotion import Evidence, same_version, stage_before

    variant = load_variant(settings, name)
    session = before or _ALWAYS
    broken = _broken(ledger)
    if broken:
        return Standing(name, variant.strategy_version, "suspended", "", None, None, broken)
    record = recorded(ledger, name, session)
    version = Evidence(
        variant=name,
        strategy_version=variant.strategy_version,
        config_hash=variant.config_hash,
        session=session,
        commits={},
        code_version="none",
        calendar_version="none",
    )
    stage = stage_before(record.decisions, version)
    own = [decision for decision in record.decisions if same_version(decision, version)]
    holding = [decision for decision in own if decision.to_stage == stage]
    led = [decision for decision in holding if decision.moves]
    newest = record.decisions[-1] if record.decisions else None
    running = newest is not None and newest.to_stage in ("paper", "live") and not same_version(newest, version)
    return Standing(
        variant=name,
        strategy_version=variant.strategy_version,
        stage=stage,
        decision_id=led[-1].decision_id if led else "",
        since=led[-1].session if led else None,
        held_by=holding[-1] if holding else None,
        doubts=record.doubts,
        replaced=newest if running else None,
    )


def came_on_paper(decisions: "Sequence[Decision]", version: tuple[str, str]) -> dt.date | None:
    """As-of session of the decision that last brought a version to paper, from its decisions in order; None where it stands
    neither there nor on live.

    Args:
        version: strategy_version and config_hash.
    """
    since: dt.date | None = None
    for decision in decisions:
        if (decision.strategy_version, decision.evidence.config_hash) != version:
            since = None  # what is taken up again after another version starts anew
        elif decision.to_stage not in ("paper", "live"):
            since = None
        elif since is None:
            since = decision.session
    return since


def recorded(ledger: "Ledger", name: str, before: dt.date | None = None, until: dt.datetime | None = None) -> "Record":
    """Decisions of a variant that count, as of sessions before ``before`` and recorded up to ``until``."""
    from trading.promotion import Record, examine

    found: list[Decision] = []
    unreadable: list[str] = []
    for session, at, read in _decisions(ledger, name):
        if (before is not None and session >= before) or (until is not None and at > until):
            continue
        if isinstance(read, str):
            unreadable.append(read)
        else:
            found.append(read)
    approvals: list[Approval] = []
    for version in sorted({decision.strategy_version for decision in found if decision.to_stage == "live"}):
        approvals += recorded_approvals(ledger, name, version)
    record = examine(found, approvals, _taken_again)
    return Record(record.decisions, (*unreadable, *record.doubts))


_Rows: TypeAlias = "list[tuple[dt.date, dt.datetime, Decision | str]]"

_KEPT_VARIANTS, _KEPT_SYMBOLS = 16, 20_000
_kept: "OrderedDict[tuple[str, str], tuple[object, _Rows]]" = OrderedDict()


def _decisions(ledger: "Ledger", name: str) -> "_Rows":
    """Session, time of recording, and the decision or what is wrong with its row, in order of (session, recording).

    Kept from call to call until something is recorded, unless its evidence is of many Symbols: reading a decision takes
    milliseconds, and a day asks several times for every one of a variant's.
    """
    key, head = (ledger.shown_url, name), ledger.head("promotion_decisions")
    known = _kept.get(key)
    if known is not None and known[0] == head:
        return known[1]
    rows = [(row.session, row.at, _read(row)) for row in ledger.decisions(name)]
    _kept.pop(key, None)
    if sum(0 if isinstance(read, str) else len(read.evidence.symbols) for _, _, read in rows) <= _KEPT_SYMBOLS:
        _kept[key] = head, rows
    while len(_kept) > _KEPT_VARIANTS:
        _kept.popitem(last=False)
    return rows


def _read(row: "Row") -> "Decision | str":
    from trading.errors import DataError
    from trading.promotion import Decision

    try:
        decision = Decision.from_dict(row.content)
    except DataError as error:
        return str(error)
    shown = (row.decision_id, row.variant, row.to_stage, row.session)
    if shown != (decision.decision_id, decision.variant, decision.to_stage, decision.session):
        return f"decision {row.decision_id}: its row does not say what its content says"
    return decision


def recorded_approvals(ledger: "Ledger", name: str, version: str) -> "list[Approval]":
    """Approvals of one version, as the ledger has them: what is approved is the evidence of that hash."""
    from trading.promotion import Approval

    return [
        Approval(by=row.person, at=row.at, strategy_version=version, evidence_hash=row.commit_id, comment=row.reason)
        for row in ledger.approvals(name, version)
    ]


_differing: dict[str, tuple[str, ...]] = {}


def _taken_again(decision: "Decision") -> tuple[str, ...]:
    """:func:`replay_decision`, once a process for each decision: its id is a hash of all of it."""
    from trading.promotion import replay_decision

    if decision.decision_id not in _differing:
        _differing[decision.decision_id] = replay_decision(decision)
    return _differing[decision.decision_id]


_looked_at: dict[str, tuple[object, tuple[str, ...]]] = {}


def _broken(ledger: "Ledger") -> tuple[str, ...]:
    """What is wrong with the record of decisions and approvals; looked at again whenever it has grown."""
    heads = ledger.heads()
    state = tuple(heads[table] for table in _TABLES)
    if _looked_at.get(ledger.shown_url, (None,))[0] != state:
        _looked_at[ledger.shown_url] = state, tuple(str(problem) for problem in ledger.verify(tables=_TABLES))
    return _looked_at[ledger.shown_url][1]
