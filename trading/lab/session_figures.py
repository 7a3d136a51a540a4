"""What a sweep keeps of every set: a few figures a session, from which the metrics over any window follow."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from trading.lab.config import Metric
from trading.replay.metrics import SESSIONS_PER_YEAR

Array = np.ndarray[Any, np.dtype[Any]]

WHOLE = slice(None)


@dataclass(frozen=True)
class SessionFigures:
    """Arrays of shape (sets, sessions); a trade counts in the session of its exit.

    Attributes:
        sessions: ascending (Date).
        initial_cash: shape (sets,), currency.
        equity: at the session's last timestamp, currency.
        trades: closed in the session (int64).
        won, lost: sums of their profits and of their losses, both 0 or more, currency; a trade without profit is a loss.
        sessions_per_year: annualises Sharpe ratios.
    """

    sessions: pl.Series
    initial_cash: Array
    equity: Array
    trades: Array
    won: Array
    lost: Array
    sessions_per_year: int = SESSIONS_PER_YEAR

    @cached_property
    def returns(self) -> Array:
        """Change of equity over the equity before, (sets, sessions); meaningless for sets that are not :attr:`solvent`."""
        before = self._before
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Array = np.where(before > 0, self.equity / before - 1.0, 0.0)
        return found

    @property
    def pnl(self) -> Array:
        """Change of equity, (sets, sessions), currency."""
        found: Array = self.equity - self._before
        return found

    @property
    def solvent(self) -> Array:
        """Whether a set's equity was above 0 at the end of every session, (sets,)."""
        return np.asarray((self.equity > 0).all(axis=1))

    @property
    def _before(self) -> Array:
        return np.concatenate([self.initial_cash[:, None], self.equity[:, :-1]], axis=1)

    def metric(self, name: Metric, window: slice = WHOLE) -> Array:
        """One metric of every set over some of the sessions, (sets,); NaN where it has no meaning.

        ``sharpe``: mean over sample standard deviation of session returns, annualised; ``net_pnl``: change of equity;
        ``expectancy``: mean pnl of the trades closed; ``profit_factor``: profits over losses. Over all sessions they are
        the replay's own.
        """
        if name == "net_pnl":
            found: Array = self.pnl[:, window].sum(axis=1)
            return found
        if name == "sharpe":
            return self._sharpe(window)
        won, lost = self.won[:, window].sum(axis=1), self.lost[:, window].sum(axis=1)
        over = self.trades[:, window].sum(axis=1) if name == "expectancy" else lost
        result = won - lost if name == "expectancy" else won
        return np.where(over > 0, result / np.where(over > 0, over, 1), np.nan)

    def _sharpe(self, window: slice) -> Array:
        values = self.returns[:, window]
        if values.shape[1] < 2:
            return np.full(values.shape[0], np.nan)
        mean, deviation = values.mean(axis=1), values.std(axis=1, ddof=1)
        # equal returns differ in their last bits only
        moves = (deviation > 1e-14 * (1.0 + np.abs(mean))) & self.solvent
        return np.where(moves, mean / np.where(moves, deviation, 1.0) * np.sqrt(self.sessions_per_year), np.nan)


def best_of(values: Array, allowed: Array | None = None) -> int | None:
    """The first set with the highest value among those allowed; None where no value means anything."""
    known = np.isfinite(values) if allowed is None else np.isfinite(values) & allowed
    if not known.any():
        return None
    return int(np.argmax(np.where(known, values, -np.inf)))
