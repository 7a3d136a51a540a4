"""Price levels on an instrument's tick grid, exact in decimal.

A float stands for the decimal that its shortest repr shows: 100.1 is one hundred and one tenth, not the
nearest binary fraction. A level that is on the grid in that reading never moves.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

from trading.errors import DataError

Direction = Literal["up", "down"]

_EXACT_INTEGERS = 2.0**53
_DECIMAL_DIGITS = 1e15  # decimals of up to 15 digits and floats correspond one to one


def exact(value: float | int | Decimal | Fraction) -> Fraction:
    """The rational number that ``value`` stands for; a float is read by its shortest repr."""
    if isinstance(value, float):
        return Fraction(*Decimal(float.__repr__(value)).as_integer_ratio())
    return Fraction(value)


def round_to_tick(value: float, tick: float | Decimal, direction: Direction) -> float:
    """``value`` moved to the next multiple of ``tick`` in ``direction``; unchanged when it is one.

    Raises:
        DataError: ``value`` is not finite or ``tick`` is not a positive finite number.
    """
    if not np.isfinite(value):
        raise DataError(f"a price level must be finite, got {value!r}")
    if not (np.isfinite(float(tick)) and tick > 0):
        raise DataError(f"a tick size must be positive and finite, got {tick!r}")
    step = exact(tick)
    steps = exact(value) / step
    whole = -(-steps // 1) if direction == "up" else steps // 1
    return float(whole * step)


def round_levels(
    values: npt.NDArray[np.float64], tick: float | Decimal, direction: Direction
) -> npt.NDArray[np.float64]:
    """:func:`round_to_tick` over a float array, the same results; NaN (an absent level) stays NaN.

    A tick p/q (in lowest terms) has as its k-th multiple the float k*p/q, correctly rounded while k*p is a
    whole number under 2**53, and for decimals of up to 15 digits comparing those floats is comparing the
    decimals. Levels outside of that are rounded one by one.
    """
    out = np.array(values, dtype=np.float64)
    present = np.isfinite(out)
    if np.isinf(out).any():
        raise DataError(f"a price level must be finite, got {out[np.isinf(out)][0]!r}")
    if not present.any():
        return out
    step = exact(tick)
    if step <= 0:
        raise DataError(f"a tick size must be positive and finite, got {tick!r}")
    x = out[present]
    p, q = step.numerator, step.denominator
    decimals = len(str(q)) - 1 if q > 1 else 0
    scale = 10.0 ** max(decimals, _decimal_places(step))
    fast = (np.abs(x) * scale < _DECIMAL_DIGITS) & (np.abs(x) * q < _EXACT_INTEGERS / 4)
    if p >= 2**40 or q >= 2**40:
        fast[:] = False
    steps = np.where(fast, x, 0.0) * q / p
    if direction == "up":
        k = np.ceil(steps)
        k = np.where((k - 1) * p / q >= x, k - 1, k)
        k = np.where(k * p / q < x, k + 1, k)
    else:
        k = np.floor(steps)
        k = np.where((k + 1) * p / q <= x, k + 1, k)
        k = np.where(k * p / q > x, k - 1, k)
    rounded = k * p / q
    for i in np.flatnonzero(~fast):
        rounded[i] = round_to_tick(float(x[i]), tick, direction)
    out[present] = rounded + 0.0  # no negative zero
    return out


def _decimal_places(step: Fraction) -> int:
    places = 0
    while step.denominator != 1 and places < 40:
        step *= 10
        places += 1
    return places
