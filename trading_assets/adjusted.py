"""The corporate actions that a step goes by, and the views of bars that follow from them."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from resources.lake.reading import Snapshot

DATASET = "corporate_actions"


@dataclass(frozen=True)
class Actions:
    """Splits and changes of security as the lake knows them at one commit; none where the dataset is not there.

    Signals, features and replays take prices on the share count of their own session. Dividends are left out: they are
    paid in cash, and an entry level is a price that was quoted.

    Attributes:
        frame: contract ``corporate_actions``.
        reads: the commit it was read at, by dataset, for the record of inputs; empty without the dataset.
        made_by: the commit on main that brought it.
    """

    frame: pl.DataFrame
    reads: Mapping[str, str]
    made_by: str | None

    @classmethod
    def at(cls, snapshot: "Snapshot") -> "Actions":
        from trading.corporate_actions import no_actions

        if not snapshot.exists(DATASET):
            return cls(no_actions(), {}, None)
        from resources.lake.provenance import made_by

        return cls(snapshot.frame(DATASET), {DATASET: snapshot.ref}, made_by(snapshot, DATASET, {}).id)

    def adjusted(self, bars: pl.DataFrame, as_of: dt.date) -> pl.DataFrame:
        """Raw bars as they compare with the prices of ``as_of``."""
        from trading.bars.adjust import adjust

        return adjust(bars, self.frame, as_of) if bars.width and self.frame.height else bars

    def levels(self, signals: pl.DataFrame, from_session: dt.date | str, to_session: dt.date) -> pl.DataFrame:
        """Levels set in one session (or in that of a column) as they stand in a later one."""
        from trading.strategies.adjusted_levels import adjust_levels

        return adjust_levels(signals, self.frame, from_session, to_session) if self.frame.height else signals

    def in_force(self, after: dt.date, until: dt.date) -> list[str]:
        """Symbols of which a split or a change of security comes into force after ``after`` and by ``until``, sorted."""
        from trading.corporate_actions import DIVIDEND, in_force_from

        found = self.frame.filter(pl.col("kind") != DIVIDEND, in_force_from() > after, in_force_from() <= until)
        return found["Symbol"].unique().sort().to_list()
