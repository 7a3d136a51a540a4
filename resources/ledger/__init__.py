"""The append-only ledger on SQLite or PostgreSQL."""

from resources.ledger.chain import Heads, Problem
from resources.ledger.errors import LedgerConflict, LedgerError, LedgerTooNew, LedgerUnavailable
from resources.ledger.ledger import Ledger
from resources.ledger.records import (
    Approval,
    Decision,
    Fill,
    KillSwitch,
    OpenPosition,
    OrderEvent,
    OrderStory,
    Position,
    RiskEvent,
    Worth,
)
from resources.ledger.writer import LedgerWriter

__all__ = [
    "Approval", "Decision", "Fill", "Heads", "KillSwitch", "Ledger", "LedgerConflict", "LedgerError", "LedgerTooNew",
    "LedgerUnavailable", "LedgerWriter", "OpenPosition", "OrderEvent", "OrderStory", "Position", "Problem", "RiskEvent",
    "Worth",
]  # fmt: skip
