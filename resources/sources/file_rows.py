"""Naming one row of a file in a message."""

from dataclasses import dataclass

import polars as pl

from resources.sources.errors import SourceFileRefused


@dataclass(frozen=True)
class FileRows:
    """Consecutive rows of one file.

    Attributes:
        shown: path of the file as messages name it.
        lines: whether people see them as lines below a header, as in CSV.
        first: how many rows of the file come before them.
    """

    shown: str
    lines: bool
    first: int = 0

    def refuse(self, bad: pl.Series, found: pl.Series, right: str) -> None:
        """Refuse the file for the first row that is ``bad``; nothing where none is.

        Args:
            bad: Boolean, a row each.
            found: the column as it is in the file.
            right: what the value must be.

        Raises:
            SourceFileRefused: naming the row, its value and ``right``.
        """
        if bad.any():
            row = int(bad.arg_max() or 0)
            value = found[row]
            text = repr(value) if isinstance(value, str) else str(value)
            raise SourceFileRefused(self.shown, f"{self._name(row)}: {found.name} is {text}; it must be {right}")

    def _name(self, row: int) -> str:
        return f"line {self.first + row + 2}" if self.lines else f"row {self.first + row + 1}"
