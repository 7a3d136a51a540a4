"""Why minutes are refused."""

import polars as pl

from trading.errors import ContractViolation


class BarsRefused(ContractViolation):
    """Bars that cannot be used as they are; nothing was guessed or repaired.

    Attributes:
        code: the broken rule: ``conflicting_duplicates``, ``off_grid``, ``price_not_positive``,
            ``low_bounds``, ``high_bounds``, ``volume_negative``, ``null``, ``outside_session``,
            ``session_mismatch``, ``sorted_unique``, or that of a wrong column.
        rows: every offending row, with ``source_file`` where known; None where the columns are wrong.
    """

    rows: pl.DataFrame | None = None

    @property
    def code(self) -> str:
        return self.rule


class ConflictingDuplicates(BarsRefused):
    """The same Symbol and minute came with different figures."""
