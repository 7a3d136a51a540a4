"""A recorded decision taken again: every gate from the data that it was taken on, or from what main holds now."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trading_assets.history import History
from trading_assets.promotion import DecisionDesk
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from resources.lake import Lake
    from resources.ledger import Ledger
    from trading.promotion import Decision


@dataclass(frozen=True)
class ReplayedDecision:
    """What came of it.

    Attributes:
        commit: of the lake that was read.
        differences: one line each; none where nothing differs.
    """

    decision: "Decision"
    commit: str
    differences: tuple[str, ...]


@dataclass(frozen=True)
class _Version:
    name: str
    strategy_version: str
    config_hash: str


def replay_recorded(
    settings: Settings, lake: "Lake", ledger: "Ledger", decision_id: str, *, on_main: bool = False
) -> ReplayedDecision:
    """Collect the evidence of a decision again and take it again, by the policy and the settings in the record.

    The lake is read as it was then, and of the ledger only what was told up to then counts. Whatever was published, configured
    or decided later makes no difference.

    Args:
        decision_id: or the beginning of it.
        on_main: read what the lake holds now, to see what a correction of data changes.

    Raises:
        LedgerError: no decision, or several, begin so.
        DataError: the row is not what its id says.
    """
    from resources.lake.reading import Snapshot
    from trading.promotion import Decision, replay_decision

    row = ledger.decision(decision_id)
    decision = Decision.from_dict(row.content)
    commit = lake.resolve("main@") if on_main else read_at(lake, decision)
    desk = DecisionDesk(
        settings,
        History(Snapshot(lake, commit)),
        ledger,
        row.at,
        until=row.at,
        without=row.decision_id,
        policy=decision.policy,
    )
    recorded = decision.evidence
    version = _Version(decision.variant, decision.strategy_version, recorded.config_hash)
    evidence, stage = desk.collected(version, decision.session)
    if stage != decision.from_stage:  # a further step: its stage has no earlier sessions
        evidence = evidence.model_copy(update={"earlier_green": ()})
    evidence = evidence.model_copy(update={"approval": recorded.approval})
    return ReplayedDecision(decision, commit, replay_decision(decision, evidence))


def read_at(lake: "Lake", decision: "Decision") -> str:
    """The commit that the evidence of ``decision`` was read at."""
    commit = lake.get_commit(f"decision-{decision.decision_id}")
    inputs: dict[str, str] = json.loads(commit.metadata.get("inputs", "{}"))
    return inputs.get("backtest", commit.id)
