"""Walk-forward: choose on a window, trade the choice on the next one, and go on from there.

Pardo, R. (2008), The Evaluation and Optimization of Trading Strategies, 2nd ed., Wiley, chapter 11. What counts is the
chain of the testing windows alone: each was traded with a set that was chosen without it.

The sets are not replayed anew for each window: every window is cut out of one long replay, so that a position that is open over
a window's edge counts on both sides of it by its sessions. Leave a ``gap`` where positions are held over night.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from trading.errors import DataError
from trading.lab.config import Metric, WalkForwardConfig
from trading.lab.deflated_sharpe import ReturnMoments
from trading.lab.session_figures import SessionFigures, best_of

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Fold:
    """Positions of sessions: those chosen on, and those traded."""

    train: slice
    test: slice


@dataclass(frozen=True)
class WalkForward:
    """Outcome of the folds in which some set could be chosen.

    Attributes:
        folds: one row a fold: fold (Int32), train_first, train_last, test_first, test_last (Date), set (Int32, the chosen
            one), in_sample (Float64, its metric there), out_of_sample (its metric afterwards, null where it has none),
            in_sample_return, out_of_sample_return (mean a session, fraction), trades (Int64, out of sample), pnl
            (Float64, of these trades, currency).
        returns: session (Date), fold (Int32), return (Float64): all testing windows, one after the other.
        expectancy: mean pnl of all trades out of sample; None without one.
        efficiency: mean return of the sessions out of sample over that in sample, the folds' means averaged by their tested
            sessions (Pardo's walk-forward efficiency, for windows of any length); None where the one in sample is not
            above 0.
        sharpe: annualised, of ``returns``; None where they do not vary.
        total_return: of ``returns`` compounded, fraction.
    """

    folds: pl.DataFrame
    returns: pl.DataFrame
    expectancy: float | None
    efficiency: float | None
    sharpe: float | None
    total_return: float


def folds(sessions: int, config: WalkForwardConfig) -> list[Fold]:
    """The windows over so many sessions, oldest first; the last testing window may be cut short by the end.

    Rolling: each begins ``test`` sessions after the one before. Anchored: all training windows begin with the first session.

    Raises:
        DataError: not one testing session fits.
    """
    if config.train + config.gap >= sessions:
        raise DataError(
            f"walk_forward needs more than train + gap = {config.train + config.gap} sessions, there are {sessions}"
        )
    found = []
    for start in range(config.train + config.gap, sessions, config.test):
        end = start - config.gap
        found.append(Fold(slice(0 if config.anchored else end - config.train, end), slice(start, start + config.test)))
    return [Fold(fold.train, slice(fold.test.start, min(fold.test.stop, sessions))) for fold in found]


def walk_forward(
    figures: SessionFigures, metric: Metric, config: WalkForwardConfig, allowed: Array | None = None
) -> WalkForward:
    """Choose the best set by ``metric`` in each training window, and follow it through the testing window.

    Args:
        figures: of the sets.
        allowed: shape (sets,): which may be chosen; None = all.

    Raises:
        DataError: as :func:`folds`.
    """
    rows: list[dict[str, Any]] = []
    parts: list[pl.DataFrame] = []
    for number, fold in enumerate(folds(len(figures.sessions), config)):
        trained = figures.metric(metric, fold.train)
        chosen = best_of(trained, allowed)
        if chosen is None:
            continue
        outside = float(figures.metric(metric, fold.test)[chosen])
        returns = figures.returns[chosen, fold.test]
        train, test = figures.sessions[fold.train], figures.sessions[fold.test]
        rows.append(
            {
                "fold": number,
                "train_first": train[0],
                "train_last": train[-1],
                "test_first": test[0],
                "test_last": test[-1],
                "set": chosen,
                "in_sample": float(trained[chosen]),
                "out_of_sample": outside if np.isfinite(outside) else None,
                "in_sample_return": float(figures.returns[chosen, fold.train].mean()),
                "out_of_sample_return": float(returns.mean()),
                "trades": int(figures.trades[chosen, fold.test].sum()),
                "pnl": float((figures.won - figures.lost)[chosen, fold.test].sum()),
            }
        )
        parts.append(pl.DataFrame({"session": test, "fold": [number] * len(test), "return": returns}))
    table = pl.DataFrame(rows, schema=FOLDS)
    chain = pl.concat([pl.DataFrame(schema=RETURNS), *(part.cast(RETURNS) for part in parts)])  # type: ignore[arg-type]
    trades, pnl = int(table["trades"].sum()), float(table["pnl"].sum())
    values = chain["return"].to_numpy()
    lengths = np.array([part.height for part in parts])
    inside = float(np.average(table["in_sample_return"].to_numpy(), weights=lengths)) if rows else 0.0
    return WalkForward(
        folds=table,
        returns=chain,
        expectancy=pnl / trades if trades else None,
        efficiency=float(values.mean()) / inside if inside > 0 else None,
        sharpe=_sharpe(values, figures.sessions_per_year),
        total_return=float(np.prod(1.0 + values)) - 1.0,
    )


FOLDS: dict[str, Any] = {
    "fold": pl.Int32(),
    **dict.fromkeys(("train_first", "train_last", "test_first", "test_last"), pl.Date()),
    "set": pl.Int32(),
    **dict.fromkeys(("in_sample", "out_of_sample", "in_sample_return", "out_of_sample_return"), pl.Float64()),
    "trades": pl.Int64(),
    "pnl": pl.Float64(),
}
RETURNS: dict[str, Any] = {"session": pl.Date(), "fold": pl.Int32(), "return": pl.Float64()}


def _sharpe(returns: Array, sessions_per_year: int) -> float | None:
    moments = ReturnMoments.of(returns)
    return None if moments is None else moments.sharpe * float(np.sqrt(sessions_per_year))
