"""Pictures of one run's equity and of its drawdown, as PNG bytes; the same input gives the same bytes.

The time axis has one step per bar, so that nights and weekends, in which nothing can happen, take no room.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from trading.reports.canvas import Canvas, Points, text_width, wrapped
from trading.reports.time_marks import time_marks

_WIDTH, _HEIGHT = 880, 340
_INK, _MUTED, _GRID = "#1b1f24", "#5b6570", "#e3e7ec"
_BLUE, _RED = "#1f5fa8", "#b3261e"
_WARNING, _WARNING_BACK = "#7a4b00", "#ffe7b3"
_EDGE = 14.0
_BOTTOM = 52.0
_MARKS_DOWN = 5
_MOST_POINTS = 2_000
_SMALL = 0.01  # per cent, below which two decimals say nothing


def equity_curve_png(
    equity: pl.DataFrame,
    *,
    title: str,
    subtitle: str = "",
    initial_cash: float,
    currency: str = "USD",
    timezone: str = "UTC",
    label: str | None = None,
) -> bytes:
    """Equity bar by bar, with the initial cash as a line to compare with.

    Args:
        equity: ``ReplayResult.equity``: Timestamp (Datetime[us, UTC]), equity (currency); no row gives a picture that
            says so.
        title: above the picture, e.g. :func:`trading.variants.run_label`'s text.
        subtitle: after the name of the axis, e.g. variant and period.
        timezone: of the dates on the axis.
        label: a warning on the picture, e.g. ``SYNTHETIC market``.
    """
    values = equity["equity"].to_numpy().astype(np.float64)
    low, high = (min(values.min(), initial_cash), max(values.max(), initial_cash)) if len(values) else (0.0, 1.0)
    if low == high:
        low, high = low * 0.99, high * 1.01
    margin = 0.06 * (high - low)
    end = f"{values[-1]:,.2f}" if len(values) else ""
    sheet = _Sheet.begin(
        title, _joined(f"Equity ({currency})", subtitle), label, low - margin, high + margin, end, unit=""
    )
    if not len(values):
        return sheet.empty()
    sheet.draw_marks()
    sheet.level(initial_cash, _MUTED, dashes=(5.0, 4.0))
    x, y = sheet.curve(values)
    sheet.canvas.line(x, y, colour=_BLUE, width=2.0)
    sheet.at_the_end(end, float(values[-1]), _BLUE)
    return sheet.finish(equity["Timestamp"], timezone)


def drawdown_curve_png(
    equity: pl.DataFrame,
    *,
    title: str,
    subtitle: str = "",
    timezone: str = "UTC",
    label: str | None = None,
) -> bytes:
    """Drawdown from the running peak bar by bar, in per cent, with the deepest one written at its place.

    Args:
        equity: ``ReplayResult.equity``: Timestamp (Datetime[us, UTC]), drawdown (fraction >= 0); no row gives a picture
            that says so.
        title, subtitle, timezone, label: as for :func:`equity_curve_png`.
    """
    values = -100.0 * equity["drawdown"].to_numpy().astype(np.float64)
    deepest = min(float(values.min()), -0.1) if len(values) else -1.0
    sheet = _Sheet.begin(
        title, _joined("Drawdown from the peak (%)", subtitle), label, deepest * 1.25, 0.0, "", unit=" %"
    )
    if not len(values):
        return sheet.empty()
    sheet.draw_marks()
    x, y = sheet.curve(values)
    top = np.full(1, sheet.down(0.0))
    around = np.concatenate([x[:1], x, x[-1:]]), np.concatenate([top, y, top])
    sheet.canvas.area(*around, colour=_RED, opacity=0.22)
    sheet.canvas.line(x, y, colour=_RED, width=1.6)
    worst = int(values.argmin())
    if values[worst] < 0:
        place = sheet.across(worst, len(values))
        text = f"{values[worst]:.2f} %" if values[worst] < -_SMALL else f"{values[worst]:.1g} %"
        fits = place + text_width(text, bold=True) < sheet.right
        sheet.canvas.text(
            place, sheet.down(values[worst]) + 6, text, colour=_RED, bold=True, anchor="la" if fits else "ra"
        )
    return sheet.finish(equity["Timestamp"], timezone)


@dataclass
class _Sheet:
    """A canvas with its headings, and a frame from ``low`` to ``high`` that a curve is drawn into."""

    canvas: Canvas
    left: float
    right: float
    top: float
    bottom: float
    low: float
    high: float
    marks: Mapping[float, str]

    @classmethod
    def begin(
        cls, title: str, name: str, label: str | None, low: float, high: float, end: str, *, unit: str
    ) -> "_Sheet":
        canvas = Canvas(_WIDTH, _HEIGHT)
        below = _EDGE
        if label:
            wide = text_width(label, 12, bold=True) + 12
            x = np.array([_EDGE, _EDGE + wide, _EDGE + wide, _EDGE])
            canvas.area(x, np.array([below - 4, below - 4, below + 16, below + 16]), colour=_WARNING_BACK)
            canvas.text(_EDGE + 6, below - 1, label, colour=_WARNING, size=12, bold=True)
            below += 26
        for line in wrapped(title, _WIDTH - 2 * _EDGE, 15, bold=True):
            canvas.text(_EDGE, below, line, colour=_INK, size=15, bold=True)
            below += 21
        canvas.text(_EDGE, below, name, colour=_MUTED)
        marks = _marks(low, high, unit)
        left = _EDGE + max((text_width(text) for text in marks.values()), default=0.0) + 8
        right = _WIDTH - _EDGE - (text_width(end, bold=True) + 8 if end else 0.0)
        return cls(canvas, left, right, below + 28, _HEIGHT - _BOTTOM, low, high, marks)

    def draw_marks(self) -> None:
        for mark, text in self.marks.items():
            self.level(mark, _GRID)
            self.canvas.text(self.left - 8, self.down(mark), text, colour=_MUTED, anchor="rm")

    def down(self, value: float) -> float:
        return self.bottom - (self.bottom - self.top) * (value - self.low) / (self.high - self.low)

    def across(self, step: float, steps: int) -> float:
        return self.left + (self.right - self.left) * (step / (steps - 1) if steps > 1 else 0.0)

    def level(self, value: float, colour: str, dashes: tuple[float, float] | None = None) -> None:
        ends, height = np.array([self.left, self.right]), np.full(2, self.down(value))
        self.canvas.line(ends, height, colour=colour, dashes=dashes)

    def curve(self, values: Points) -> tuple[Points, Points]:
        """Places of the values, one step a bar; a single one goes all the way across."""
        if len(values) == 1:
            values = np.repeat(values, 2)
        steps, heights = _outline(values)
        across = self.left + (self.right - self.left) * steps / (len(values) - 1)
        down = self.bottom - (self.bottom - self.top) * (heights - self.low) / (self.high - self.low)
        return across, down

    def at_the_end(self, text: str, value: float, colour: str) -> None:
        self.canvas.text(self.right + 8, self.down(value), text, colour=colour, bold=True, anchor="lm")

    def finish(self, times: pl.Series, timezone: str) -> bytes:
        marks = time_marks(times, timezone)
        for step, text in zip(marks.steps, marks.texts, strict=True):
            place = self.across(step, times.len())
            self.canvas.line(np.full(2, place), np.array([self.bottom, self.bottom + 4]), colour=_MUTED)
            half = text_width(text) / 2
            inside = min(max(place, _EDGE + half), _WIDTH - _EDGE - half)
            self.canvas.text(inside, self.bottom + 8, text, colour=_MUTED, anchor="ma")
        self.canvas.text((self.left + self.right) / 2, self.bottom + 28, marks.name, colour=_MUTED, anchor="ma")
        return self.canvas.png()

    def empty(self) -> bytes:
        middle = (self.top + self.bottom) / 2
        self.canvas.text(_WIDTH / 2, middle, "No bar in this period", colour=_MUTED, size=17, anchor="ma")
        return self.canvas.png()


def _joined(*texts: str) -> str:
    return " · ".join(text for text in texts if text)


def _outline(values: Points) -> tuple[Points, Points]:
    """Steps and values of a curve; of many bars the lowest and highest of each group, so that no extreme is lost."""
    if len(values) <= _MOST_POINTS:
        return np.arange(len(values), dtype=np.float64), values
    groups = np.linspace(0, len(values), _MOST_POINTS // 2, endpoint=False).astype(np.int64)
    low, high = np.minimum.reduceat(values, groups), np.maximum.reduceat(values, groups)
    steps = np.append(np.repeat(groups, 2), len(values) - 1).astype(np.float64)
    return steps, np.append(np.column_stack([low, high]).ravel(), values[-1])


def _marks(low: float, high: float, unit: str) -> dict[float, str]:
    """Round values between the two, a step of 1, 2 or 5 times a power of ten apart, and what to write at them."""
    rough = (high - low) / _MARKS_DOWN
    power = math.floor(math.log10(rough))
    step = next(size for size in (1, 2, 5, 10) if size * 10.0**power >= rough * (1 - 1e-9))
    distance = step * 10.0**power
    decimals = max(0, -power - (step == 10))
    numbers = range(math.ceil(low / distance - 1e-9), math.floor(high / distance + 1e-9) + 1)
    return {number * distance: f"{number * distance + 0.0:,.{decimals}f}{unit}" for number in numbers}
