"""Whether a ledger's SQLite file is still the one that was opened: an empty one in its place would know of no stop."""

from pathlib import Path

from resources.ledger.errors import LedgerUnavailable


class SqliteFile:
    """One ledger's file, and the mark beside it that says that there was one.

    Raises:
        LedgerUnavailable: the mark is there and the file is gone, or its folder cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._mark = path, path.with_name(f"{path.name}.made")
        self._opened: tuple[int, int] | None = None
        try:
            gone = self._mark.exists() and not path.exists()
        except OSError as error:
            raise LedgerUnavailable(f"the ledger {path} cannot be looked at: {error.strerror}") from None
        if gone:
            raise LedgerUnavailable(
                f"the ledger {path} is gone. Restore it from a backup; only where a new, empty one is meant to begin, remove "
                f"{self._mark} too"
            )

    def note_opened(self) -> None:
        """The file is complete: from now on it must be there, and be this one."""
        try:
            self._opened = self._identity()
            self._mark.touch()
        except OSError as error:
            raise LedgerUnavailable(f"the ledger {self._path} cannot be marked as made: {error.strerror}") from None

    def check(self) -> None:
        """Raise LedgerUnavailable where another file, or none, is at the path of the one that was opened."""
        if self._opened is None:
            return
        try:
            found = self._identity()
        except OSError as error:
            raise LedgerUnavailable(f"the ledger {self._path} was removed: {error.strerror}") from None
        if found != self._opened:
            raise LedgerUnavailable(f"the ledger {self._path} was replaced while it was open; start again")

    def _identity(self) -> tuple[int, int]:
        found = self._path.stat()
        return found.st_dev, found.st_ino
