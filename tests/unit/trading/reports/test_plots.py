import base64
import datetime as dt
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trading.reports import comparison_png, equity_png, markdown_image, trade_png

START = dt.datetime(2023, 11, 3, 13, 30, tzinfo=dt.UTC)


def curve(values: list[float], step: dt.timedelta = dt.timedelta(minutes=5)) -> pl.DataFrame:
    return pl.DataFrame(
        {"Timestamp": [START + step * n for n in range(len(values))], "equity": values},
        schema={"Timestamp": pl.Datetime("us", "UTC"), "equity": pl.Float64},
    ).with_columns(drawdown=1.0 - pl.col("equity") / pl.col("equity").cum_max())


def size(png: bytes) -> tuple[int, int]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    return int(width), int(height)


def equity(frame: pl.DataFrame, **options: Any) -> bytes:
    return equity_png(frame, **{"title": "risk1", "initial_cash": 10_000.0, **options})


CURVE = curve([10_000.0, 10_010.0, 9_990.0, 10_030.0])


def test_the_same_input_gives_the_same_bytes_in_another_process_too() -> None:
    script = (
        "import sys; sys.path[:0] = [sys.argv[1], sys.argv[2]]\n"
        "import matplotlib; matplotlib.rcParams['font.size'] = 20\n"
        "import test_plots; sys.stdout.buffer.write(test_plots.equity(test_plots.CURVE))\n"
    )
    here = Path(__file__).resolve()
    other = subprocess.run(
        [sys.executable, "-c", script, str(here.parents[4]), str(here.parent)],
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert other.stdout == equity(CURVE) == equity(CURVE)


@pytest.mark.parametrize(
    "changed",
    [
        {"label": "SYNTHETIC market"},
        {"title": "risk2"},
        {"timezone": "Europe/Berlin"},
        {"currency": "EUR"},
        {"initial_cash": 9_995.0},
    ],
)
def test_whatever_is_told_is_on_the_picture(changed: dict[str, Any]) -> None:
    assert equity(CURVE, **changed) != equity(CURVE)


def test_pictures_carry_no_date_and_no_software() -> None:
    png = equity(CURVE)
    assert b"tEXt" not in png
    assert b"Matplotlib" not in png
    assert size(png) == (880, 506)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(CURVE.clear(), id="no bar"),
        pytest.param(curve([10_000.0]), id="one bar"),
        pytest.param(curve([10_000.0] * 5), id="no trade"),
        pytest.param(curve([100.0, 1.0, -5.0]), id="more than everything lost"),
        pytest.param(curve([1.0, 2.0] * 200, dt.timedelta(days=2)), id="over years"),
    ],
)
def test_odd_curves_are_drawn_without_a_warning(frame: pl.DataFrame, recwarn: pytest.WarningsRecorder) -> None:
    assert size(equity(frame)) == (880, 506)
    assert [str(warning.message) for warning in recwarn] == []


def test_curves_of_different_bars_are_compared() -> None:
    hourly = curve([50.0, 51.0], dt.timedelta(hours=1))
    both = comparison_png({"a": CURVE, "b": hourly}, title="Variants")
    assert both != comparison_png({"a": CURVE}, title="Variants")
    assert both == comparison_png({"a": CURVE, "b": hourly, "empty": CURVE.clear()}, title="Variants")
    assert size(comparison_png({}, title="Variants"))[0] == 880


@pytest.mark.parametrize("side", [1, -1])
def test_a_trade_is_drawn_with_or_without_its_levels(side: int, recwarn: pytest.WarningsRecorder) -> None:
    bars = pl.DataFrame(
        {
            "Timestamp": [START + dt.timedelta(minutes=5 * n) for n in range(60)],
            "Open": [100.0] * 60,
            "High": [101.0] * 60,
            "Low": [99.0] * 60,
            "Close": [100.5] * 60,
        },
        schema_overrides={"Timestamp": pl.Datetime("us", "UTC")},
    )
    trade = {
        "setup_time": bars["Timestamp"][40],
        "entry_time": bars["Timestamp"][42],
        "exit_time": bars["Timestamp"][50],
        "entry_price": 100.6,
        "exit_price": 100.1,
        "exit_reason": "sl",
        "pnl": -5.0 * side,
        "qty": 10.0,
        "side": side,
    }
    plain = trade_png(bars, trade, title="SYNA")
    assert plain != trade_png(bars, trade, title="SYNA", sl=100.1, tp=101.0)
    assert trade_png(bars.clear(), trade, title="SYNA") != plain
    assert [str(warning.message) for warning in recwarn] == []


def test_markdown_holds_the_picture_itself() -> None:
    text = markdown_image(b"png bytes", "a [curve]")
    assert text == f"![a (curve)](data:image/png;base64,{base64.b64encode(b'png bytes').decode()})"
