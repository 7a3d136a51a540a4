"""The append-only ledger on SQLite or PostgreSQL."""

from resources.ledger.chain import Problem
from resources.ledger.errors import LedgerConflict, LedgerError, LedgerUnavailable
from resources.ledger.ledger import Ledger
from resources.ledger.records import (
    Approval,
    Decision,
    Fill,
    KillSwitch,
    OpenPosition,
    OrderEvent,
    OrderStory,
    RiskEvent,
    Worth,
)
from resources.ledger.writer import LedgerWriter

__all__ = [
    "Approval", "Decision", "Fill", "KillSwitch", "Ledger", "LedgerConflict", "LedgerError",
    "LedgerUnavailable", "LedgerWriter", "OpenPosition", "OrderEvent", "OrderStory", "Problem", "RiskEvent", "Worth",
]  # fmt: skip
