"""Corporate actions that one keeps oneself, in a CSV file."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict

from resources.sources.context import SourceContext
from resources.sources.corporate_actions.file import read_csv
from trading.corporate_actions import ACTION_COLUMNS, collect_actions
from trading.ports.corporate_actions import RawActions
from trading.ports.sources import FetchProgress

_NEEDED = ("Symbol", "ex_date", "kind")


class CsvActionsConfig(BaseModel):
    """A CSV file with the columns of the dataset; all but Symbol, ex_date and kind may be absent or empty.

    Args:
        path: relative to the home unless absolute.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["csv"]
    path: Path

    def open(self, context: SourceContext) -> "CsvActions":
        return CsvActions(context.path(self.path))


class CsvActions:
    """Implements :class:`trading.ports.corporate_actions.CorporateActionSource`."""

    name = "csv"
    asks_by_symbol = False

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(
        self,
        symbols: Sequence[str] | None,
        first: dt.date,
        last: dt.date,
        progress: FetchProgress | None = None,  # noqa: ARG002 - a small file
    ) -> RawActions:
        needed = {name: ACTION_COLUMNS[name] for name in _NEEDED}
        optional = {name: dtype for name, dtype in ACTION_COLUMNS.items() if name not in needed}
        table = read_csv(self._path, needed, optional)
        rows = table.rows.with_columns(pl.col("source").fill_null(self.name))
        frame = collect_actions([rows], where=str(self._path))
        wanted = pl.col("ex_date").is_between(first, last)
        if symbols is not None:
            wanted &= pl.col("Symbol").is_in(list(symbols))
        name = self._path.name
        return RawActions(frame.filter(wanted), {name: table.sha256}, {name: table.arrived})
