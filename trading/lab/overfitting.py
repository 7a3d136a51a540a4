"""Probability of backtest overfitting, by combinatorially symmetric cross-validation (CSCV).

Bailey, D. H., Borwein, J., Lopez de Prado, M. and Zhu, Q. J. (2017), The probability of backtest overfitting, Journal of
Computational Finance 20(4), 39-69. Steps and names are those of section 3; performance degradation and probability of
loss are those of section 5.
"""

import math
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Any

import numpy as np

from trading.errors import DataError

Array = np.ndarray[Any, np.dtype[Any]]

_CELLS_AT_ONCE = 2_000_000  # splits times variants held at a time, so that memory does not grow with their product


@dataclass(frozen=True)
class Overfitting:
    """What the splits showed; every array has one element a split, in the order of :func:`itertools.combinations`.

    Attributes:
        pbo: share of splits in which the best in sample is no better than the median out of sample.
        logits: ``log(w / (1 - w))``, w being the relative rank out of sample of the best in sample.
        chosen: number of the variant that was best in sample.
        in_sample, out_of_sample: Sharpe ratios, per observation, of the chosen variant.
        slope, intercept: of the least-squares line of out_of_sample over in_sample; None where in_sample does not vary.
            A negative slope: the better in sample, the worse afterwards.
        probability_of_loss: share of splits in which the chosen variant's Sharpe ratio out of sample is below 0.
    """

    pbo: float
    logits: Array
    chosen: Array
    in_sample: Array
    out_of_sample: Array
    slope: float | None
    intercept: float | None
    probability_of_loss: float

    @property
    def splits(self) -> int:
        return len(self.logits)


def cscv(returns: Array, blocks: int = 16) -> Overfitting:
    """Choose the best variant on every half of the blocks, and rank it on the other half.

    The rows are cut into ``blocks`` equal parts. For every choice of half of them the variant with the best Sharpe ratio
    there is ranked among all on the other half: ``w = rank / (N + 1)``. A logit of 0 or less, that is a rank no
    better than the median, counts as overfit.

    Ties take the first best in sample and the mean rank out of sample. A Sharpe ratio over returns without
    deviation is 0. Where ``blocks`` does not divide the rows, the oldest ones are left out.

    Args:
        returns: shape (observations, variants), finite, oldest first.
        blocks: even, from 2 to 20 (20 make 184,756 choices).

    Raises:
        DataError: wrong shape, fewer than two variants, fewer than two rows a block, or values not finite.
    """
    values = np.asarray(returns, dtype=np.float64)
    if blocks % 2 or not 2 <= blocks <= 20:
        raise DataError(f"blocks must be even, from 2 to 20, got {blocks}")
    if values.ndim != 2 or values.shape[1] < 2 or values.shape[0] < 2 * blocks:
        raise DataError(
            f"returns must have two or more columns and at least {2 * blocks} rows, the shape is {values.shape}"
        )
    if not np.isfinite(values).all():
        raise DataError("returns must be finite")
    variants = values.shape[1]
    size = values.shape[0] // blocks
    parts = values[values.shape[0] - size * blocks :].reshape(blocks, size, variants)
    sums, squares = parts.sum(axis=1), (parts**2).sum(axis=1)
    count = size * blocks // 2
    logits, chosen, inside, outside = [], [], [], []
    picks = combinations(range(blocks), blocks // 2)
    while batch := list(islice(picks, max(1, _CELLS_AT_ONCE // variants))):
        member = np.zeros((len(batch), blocks))
        np.put_along_axis(member, np.array(batch), 1.0, axis=1)
        in_sample = _sharpe(member @ sums, member @ squares, count)
        out_of_sample = _sharpe((1 - member) @ sums, (1 - member) @ squares, count)
        rows = np.arange(len(batch))
        best = np.argmax(in_sample, axis=1)
        own = out_of_sample[rows, best][:, None]
        below, equal = (out_of_sample < own).sum(axis=1), (out_of_sample == own).sum(axis=1)
        rank = below + (equal + 1) / 2
        logits.append(np.log(rank / (variants + 1 - rank)))
        chosen.append(best)
        inside.append(in_sample[rows, best])
        outside.append(own[:, 0])
    logit, ins, out = np.concatenate(logits), np.concatenate(inside), np.concatenate(outside)
    slope, intercept = _line(ins, out)
    return Overfitting(
        pbo=float(np.mean(logit <= 0.0)),
        logits=logit,
        chosen=np.concatenate(chosen),
        in_sample=ins,
        out_of_sample=out,
        slope=slope,
        intercept=intercept,
        probability_of_loss=float(np.mean(out < 0.0)),
    )


def split_count(blocks: int) -> int:
    """How many splits ``blocks`` make."""
    return math.comb(blocks, blocks // 2)


def _sharpe(sums: Array, squares: Array, count: int) -> Array:
    mean = sums / count
    variance = squares / count - mean**2
    flat = variance <= 1e-14 * (squares / count)
    ratio: Array = np.where(flat, 0.0, mean / np.sqrt(np.where(flat, 1.0, variance)))
    return ratio


def _line(x: Array, y: Array) -> tuple[float | None, float | None]:
    away = x - x.mean()
    spread = float(away @ away)
    if spread <= 1e-24 * max(1.0, float(x @ x)):
        return None, None
    slope = float(away @ (y - y.mean())) / spread
    return slope, float(y.mean()) - slope * float(x.mean())
