"""What can go wrong between the lake and the analysts' file."""

from pathlib import Path

from trading.errors import TradingError


class WarehouseError(TradingError):
    """The warehouse cannot be built or opened."""


class SourceError(WarehouseError):
    """A dataset lacks columns that the models rely on, or its name is not usable as a table's."""


class ModelError(WarehouseError):
    """A model or audit file is wrong; the message begins with ``file:line``."""

    def __init__(self, file: Path, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file = file
        self.line = line


class AuditError(WarehouseError):
    """An audit found rows that must not be; the warehouse in place is still the one before.

    Attributes:
        audit: name of the audit.
        model: the table that it looked at.
        bad_rows: how many rows it found.
        details: the first of them, ready to print.
    """

    def __init__(self, message: str, *, audit: str, model: str, bad_rows: int, details: str) -> None:
        super().__init__(message)
        self.audit = audit
        self.model = model
        self.bad_rows = bad_rows
        self.details = details
