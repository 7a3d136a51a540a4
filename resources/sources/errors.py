"""Why a source cannot be used."""

from trading.errors import DataError


class SourceError(DataError):
    """A source as a whole cannot be used: missing, empty, or of the wrong kind."""


class SourceFileRefused(SourceError):
    """One file is refused as a whole.

    Attributes:
        file: path relative to the source.
        reason: the cause and what would be right, without the path.
    """

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason
