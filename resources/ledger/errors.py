"""What the ledger refuses, and why."""

from trading.errors import TradingError


class LedgerError(TradingError):
    """Root of the ledger's errors."""


class LedgerUnavailable(LedgerError):
    """The ledger's database cannot be read or written now; nothing was recorded."""


class LedgerConflict(LedgerError):
    """A record contradicts one that is there; nothing was recorded."""


class LedgerTooNew(LedgerError):
    """A newer version of the platform has written this ledger; nothing was read or changed."""
