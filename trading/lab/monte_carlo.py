"""Monte-Carlo over the trades of one replay: what another order of them, or another sample, would have looked like.

Shuffling asks how deep the drawdown could have been with the very same trades: the sum, and so the end, stays. Resampling draws
as many trades with replacement (the bootstrap: Efron, B. (1979), Bootstrap methods: another look at the jackknife, Annals of
Statistics 7(1), 1-26) and asks where the account could have ended. Both take trades as independent amounts of money:
they are not sized anew by the equity that the new order leads to, and trades open at the same time follow one another.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from trading.errors import DataError

Array = np.ndarray[Any, np.dtype[Any]]

QUANTILES = (0.05, 0.25, 0.50, 0.75, 0.95)
_CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class MonteCarlo:
    """Outcome of n runs.

    Attributes:
        drawdown: shape (n,), deepest drawdown of each shuffled order, positive fraction of the running peak.
        final_equity: shape (n,), currency, of each resampled history.
        actual_drawdown: of the trades in the order in which they were closed.
        actual_final: initial cash and the sum of their pnl.
        initial_cash: currency.
    """

    drawdown: Array
    final_equity: Array
    actual_drawdown: float
    actual_final: float
    initial_cash: float

    @property
    def drawdown_quantiles(self) -> dict[str, float]:
        """``q05`` to ``q95``."""
        return _quantiles(self.drawdown)

    @property
    def final_equity_quantiles(self) -> dict[str, float]:
        """``q05`` to ``q95``."""
        return _quantiles(self.final_equity)

    @property
    def deeper(self) -> float:
        """Share of orders with a drawdown deeper than the actual one."""
        return float(np.mean(self.drawdown > self.actual_drawdown))

    @property
    def probability_of_loss(self) -> float:
        """Share of resampled histories that end below the initial cash."""
        return float(np.mean(self.final_equity < self.initial_cash))


def monte_carlo(pnl: Array, initial_cash: float, runs: int, seed: int) -> MonteCarlo | None:
    """``runs`` shuffled orders and ``runs`` resampled histories of trades; None without a trade.

    Args:
        pnl: shape (trades,), currency after costs, in order of exit; finite.
        initial_cash: above 0.
        runs: at least 1.
        seed: the same seed gives the same numbers.

    Raises:
        DataError: an argument outside of these bounds.
    """
    values = np.asarray(pnl, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise DataError(f"pnl must be one finite number a trade, the shape is {values.shape}")
    if runs < 1 or initial_cash <= 0:
        raise DataError(f"runs must be at least 1 and initial_cash above 0, got {runs} and {initial_cash}")
    if values.size == 0:
        return None
    generator = np.random.default_rng(seed)
    drawdown, final = np.empty(runs), np.empty(runs)
    at_once = max(1, _CELLS_AT_ONCE // values.size)
    for first in range(0, runs, at_once):
        count = min(at_once, runs - first)
        orders = generator.permuted(np.tile(values, (count, 1)), axis=1)
        drawdown[first : first + count] = max_drawdown(orders, initial_cash)
        drawn = values[generator.integers(values.size, size=(count, values.size))]
        final[first : first + count] = initial_cash + drawn.sum(axis=1)
    return MonteCarlo(
        drawdown=drawdown,
        final_equity=final,
        actual_drawdown=float(max_drawdown(values[None, :], initial_cash)[0]),
        actual_final=initial_cash + float(values.sum()),
        initial_cash=initial_cash,
    )


def max_drawdown(pnl: Array, initial_cash: float) -> Array:
    """Deepest drawdown after each trade, positive fraction of the running peak, the initial cash included.

    Args:
        pnl: shape (runs, trades).

    Returns:
        Shape (runs,); above 1 where the equity falls below 0.
    """
    equity = np.concatenate([np.zeros((pnl.shape[0], 1)), np.cumsum(pnl, axis=1)], axis=1) + initial_cash
    peak = np.maximum.accumulate(equity, axis=1)
    found: Array = (1.0 - equity / peak).max(axis=1)
    return found


def _quantiles(values: Array) -> dict[str, float]:
    found = np.quantile(values, QUANTILES)
    return {f"q{round(100 * q):02d}": float(value) for q, value in zip(QUANTILES, found, strict=True)}
