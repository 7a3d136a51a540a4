import base64
import datetime as dt
import struct

import polars as pl
import pytest

from trading.reports import comparison_png, markdown_image, trade_png

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


CURVE = curve([10_000.0, 10_010.0, 9_990.0, 10_030.0])


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
