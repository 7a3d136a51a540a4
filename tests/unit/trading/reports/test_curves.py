"""Pictures of equity and drawdown: what is on them, where, and always the same bytes."""

import datetime as dt
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from trading.reports import drawdown_curve_png, equity_curve_png
from trading.reports.canvas import Canvas, text_width, wrapped
from trading.reports.curves import _marks, _outline
from trading.reports.time_marks import time_marks

START = dt.datetime(2023, 11, 3, 13, 30, tzinfo=dt.UTC)
BLUE, RED = (0x1F, 0x5F, 0xA8), (0xB3, 0x26, 0x1E)


def curve(values: list[float], step: dt.timedelta = dt.timedelta(minutes=5)) -> pl.DataFrame:
    return pl.DataFrame(
        {"Timestamp": [START + step * n for n in range(len(values))], "equity": values},
        schema={"Timestamp": pl.Datetime("us", "UTC"), "equity": pl.Float64},
    ).with_columns(drawdown=1.0 - pl.col("equity") / pl.col("equity").cum_max())


CURVE = curve([10_000.0, 10_010.0, 9_990.0, 10_030.0])


def equity(frame: pl.DataFrame = CURVE, **options: Any) -> bytes:
    return equity_curve_png(frame, **{"title": "risk1", "initial_cash": 10_000.0, **options})


def drawdown(frame: pl.DataFrame = CURVE, **options: Any) -> bytes:
    return drawdown_curve_png(frame, **{"title": "risk1", **options})


def pixels(png: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def of_colour(png: bytes, colour: tuple[int, int, int]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Rows and columns of the pixels that are almost of this colour."""
    near = np.abs(pixels(png) - np.array(colour)).max(axis=2) < 24
    rows, columns = np.nonzero(near)
    return rows, columns


def test_the_same_input_gives_the_same_bytes_in_another_process_too() -> None:
    script = (
        "import sys; sys.path[:0] = [sys.argv[1], sys.argv[2]]\n"
        "import matplotlib; matplotlib.rcParams['font.size'] = 20; matplotlib.rcParams['path.simplify'] = False\n"
        "import test_curves as t; sys.stdout.buffer.write(t.equity() + t.drawdown())\n"
    )
    here = Path(__file__).resolve()
    other = subprocess.run(
        [sys.executable, "-c", script, str(here.parents[4]), str(here.parent)],
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert other.stdout == equity() + drawdown() == equity() + drawdown()


@pytest.mark.parametrize(
    "changed",
    [
        {"label": "SYNTHETIC market"},
        {"title": "risk2"},
        {"subtitle": "1y"},
        {"timezone": "Europe/Berlin"},
        {"currency": "EUR"},
        {"initial_cash": 9_995.0},
    ],
)
def test_whatever_is_told_is_on_the_picture(changed: dict[str, Any]) -> None:
    assert equity(**changed) != equity()
    if not changed.keys() & {"currency", "initial_cash"}:
        assert drawdown(**changed) != drawdown()


def test_pictures_carry_no_date_and_no_software() -> None:
    for png in (equity(), drawdown()):
        chunks = {png[at : at + 4] for at in _chunks(png)}
        assert chunks == {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
        assert pixels(png).shape == (340, 880, 3)


def _chunks(png: bytes) -> list[int]:
    """Where the names of the PNG's chunks are."""
    found, at = [], 8
    while at < len(png):
        found.append(at + 4)
        at += 12 + int.from_bytes(png[at : at + 4])
    return found


def test_the_curve_goes_up_where_equity_does() -> None:
    rows, columns = of_colour(equity(curve([10_000.0, 10_100.0] + [10_100.0] * 50)), BLUE)
    inside = columns < 700
    left, right = rows[inside & (columns < 85)], rows[inside & (columns > 500)]
    assert right.max() < left.max()


def test_the_deepest_drawdown_is_where_it_was() -> None:
    values = [10_000.0] * 100
    values[25] = 9_500.0
    _, columns = of_colour(drawdown(curve(values)), RED)
    tallest = np.bincount(columns).argmax()  # the fall and the rise beside it
    share = (tallest - columns.min()) / (columns.max() - columns.min())
    assert 0.23 < share < 0.28


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(CURVE.clear(), id="no bar"),
        pytest.param(curve([10_000.0]), id="one bar"),
        pytest.param(curve([10_000.0] * 5), id="no trade"),
        pytest.param(curve([100.0, 1.0, -5.0]), id="more than everything lost"),
        pytest.param(curve([1.0, 2.0] * 200, dt.timedelta(days=2)), id="over years"),
        pytest.param(curve([10_000.0 + 0.001 * n for n in range(50)]), id="hardly anything"),
        pytest.param(curve([1e9, 5e9, 2e9]), id="a lot"),
    ],
)
def test_odd_curves_are_drawn_without_a_warning(frame: pl.DataFrame, recwarn: pytest.WarningsRecorder) -> None:
    for png in (equity(frame), drawdown(frame)):
        assert pixels(png).shape == (340, 880, 3)
    assert [str(warning.message) for warning in recwarn] == []


def test_no_extreme_of_many_bars_is_lost() -> None:
    values = np.zeros(100_000)
    values[[123, 77_777]] = 5.0, -7.0
    values[-1] = 1.0
    steps, heights = _outline(values)
    assert len(steps) == len(heights) == 2_001
    assert (heights.max(), heights.min(), heights[-1], steps[-1]) == (5.0, -7.0, 1.0, 99_999.0)
    assert (np.diff(steps) >= 0).all()


@pytest.mark.parametrize(
    ("low", "high", "unit", "expected"),
    [
        (9_790.0, 10_350.0, "", ["9,800", "10,000", "10,200"]),
        (-6.4, 0.0, " %", ["-6 %", "-4 %", "-2 %", "0 %"]),
        (-0.125, 0.0, "", ["-0.10", "-0.05", "0.00"]),
        (99.5, 100.5, "", ["99.6", "99.8", "100.0", "100.2", "100.4"]),
        (0.0, 4.4, "", ["0", "1", "2", "3", "4"]),
    ],
)
def test_marks_are_round_and_have_the_decimals_they_need(
    low: float, high: float, unit: str, expected: list[str]
) -> None:
    assert list(_marks(low, high, unit).values()) == expected


def test_days_are_marked_where_several_are_shown_and_times_within_one() -> None:
    one = time_marks(CURVE["Timestamp"], "Europe/Berlin")
    assert (one.texts, one.name) == (["14:30", "14:35", "14:40", "14:45"], "03 Nov 2023, time in Europe/Berlin")
    several = time_marks(curve([1.0] * 20, dt.timedelta(days=1))["Timestamp"], "UTC")
    assert several.steps == [0, 3, 6, 9, 12, 15, 18]
    assert (several.texts[:2], several.name) == (["03 Nov", "06 Nov"], "2023, dates in UTC")


def test_long_titles_go_on_in_the_next_line() -> None:
    text = "one two three four"
    lines = wrapped(text, text_width("one two three", 15), 15)
    assert lines == ["one two three", "four"]
    assert wrapped("", 10, 15) == []
    assert wrapped("longerthanthat", 10, 15) == ["longerthanthat"]


def test_places_are_counted_from_the_top_left() -> None:
    canvas = Canvas(100, 50)
    canvas.area(np.array([0.0, 10.0, 10.0, 0.0]), np.array([0.0, 0.0, 5.0, 5.0]), colour="#b3261e")
    rows, columns = of_colour(canvas.png(), RED)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (0, 4, 0, 9)
