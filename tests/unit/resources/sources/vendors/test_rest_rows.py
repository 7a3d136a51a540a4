"""Answers of EODHD and Polygon as their documentation shows them, read by hand."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest

from resources.sources.errors import SourceError
from resources.sources.vendors.eodhd import EodhdBars
from resources.sources.vendors.http import JsonRequests
from resources.sources.vendors.json_bars import NullVolume
from resources.sources.vendors.pace import Pace
from resources.sources.vendors.polygon import PolygonBars
from trading.contracts import INSTANT
from trading.ports.sources import Step

DAY = dt.timedelta(days=1)


def requests() -> JsonRequests:
    return JsonRequests("eodhd", "https://vendor.invalid", variable="EODHD_API_KEY", key="nothing", pace=Pace(1))


def eodhd(step: Step = "1m", null_volume: NullVolume = "refuse") -> EodhdBars:
    return EodhdBars(requests(), step=step, longest_span=DAY, null_volume=null_volume)


def polygon(step: Step = "1m", **more: Any) -> PolygonBars:
    return PolygonBars(requests(), step=step, longest_span=DAY, **more)


def minute(**changed: Any) -> dict[str, Any]:
    return {
        "timestamp": 1704205800,  # 2024-01-02 14:30 UTC
        "gmtoffset": 0,
        "datetime": "2024-01-02 14:30:00",
        "open": 187.15,
        "high": 187.5,
        "low": 187,
        "close": 187.2,
        "volume": 1029145,
        **changed,
    }


def body(*listed: Any) -> bytes:
    return json.dumps(list(listed)).encode()


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type, misc]


def test_a_minute_of_eodhd() -> None:
    frame = eodhd().rows("AAPL", body(minute()))
    assert frame.columns == ["Timestamp", "Open", "High", "Low", "Close", "Volume"]
    assert frame.schema["Timestamp"] == INSTANT
    assert frame.rows() == [(utc(2024, 1, 2, 14, 30), 187.15, 187.5, 187.0, 187.2, 1029145)]


def test_a_day_of_eodhd_is_its_raw_prices_at_midnight() -> None:
    day = {"date": "2014-06-06", "open": 649.9, "high": 651.26, "low": 644.47, "close": 645.57}
    frame = eodhd("1d").rows("AAPL", body({**day, "adjusted_close": 20.1, "volume": 87484600}))
    assert frame.rows() == [(utc(2014, 6, 6), 649.9, 651.26, 644.47, 645.57, 87484600)]


def test_rows_stay_as_they_are_duplicates_and_all() -> None:
    frame = eodhd().rows("AAPL", body(minute(timestamp=120), minute(timestamp=60), minute(timestamp=60)))
    assert frame["Timestamp"].dt.epoch("s").to_list() == [120, 60, 60]


def test_no_rows_are_rows_too() -> None:
    assert eodhd().rows("AAPL", b"[]").schema == eodhd().rows("AAPL", body(minute())).schema
    assert polygon().rows("AAPL", b'{"status": "OK", "resultsCount": 0}').height == 0


@pytest.mark.parametrize(
    ("null_volume", "expected"), [("refuse", [None, None, 5]), ("zero", [0, None, 5])], ids=["refuse", "zero"]
)
def test_a_missing_volume(null_volume: NullVolume, expected: list[int | None]) -> None:
    untraded = minute(open=None, high=None, low=None, close=None, volume=None)
    listed = body(minute(volume=None), untraded, minute(volume=5))
    frame = eodhd(null_volume=null_volume).rows("AAPL", listed)
    assert frame["Volume"].to_list() == expected


def test_what_is_no_number_of_json_counts_as_missing() -> None:
    frame = eodhd().rows("AAPL", body(minute(volume=float("nan"), low=float("nan"))))
    assert frame.select("Low", "Volume").rows() == [(None, None)]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (lambda bar: bar.pop("low"), "row 2: low is missing"),
        (lambda bar: bar.update(low="187.0"), "row 2: low is '187.0'; it must be a number"),
        (lambda bar: bar.update(volume=True), "row 2: volume is True; it must be a number"),
        (lambda bar: bar.update(timestamp="2024"), "row 2: timestamp is '2024'; it must be a whole number"),
        (lambda bar: bar.update(timestamp=None), "row 2: timestamp is None; it must be a whole number"),
        (lambda bar: bar.update(gmtoffset=-18000), "row 2: gmtoffset is -18000; it must be 0"),
        (lambda bar: bar.update(volume=1e30), "does not fit 64 bits"),
    ],
)
def test_what_is_not_as_documented_is_refused(changed: Callable[[dict[str, Any]], Any], says: str) -> None:
    bar = minute()
    changed(bar)
    with pytest.raises(SourceError, match=says):
        eodhd().rows("AAPL", body(minute(), bar))


@pytest.mark.parametrize("given", [None, 20240102, "2024-13-01", "02.01.2024"])
def test_a_date_must_be_one(given: Any) -> None:
    with pytest.raises(SourceError, match=r"row 1: date is .* it must be YYYY-MM-DD"):
        eodhd("1d").rows("AAPL", body({**minute(), "date": given}))


def aggregate(**changed: Any) -> dict[str, Any]:
    """As Polygon gives it, a volume of which it writes as a float."""
    return {"v": 1.029145e06, "vw": 349.0938, "o": 349.31, "c": 348.78, "h": 349.5, "l": 348.05, "n": 6966, **changed}


def said(*listed: dict[str, Any]) -> bytes:
    return json.dumps({"ticker": "AAPL", "status": "OK", "adjusted": False, "results": listed}).encode()


def test_a_minute_of_polygon() -> None:
    frame = polygon().rows("AAPL", said(aggregate(t=1591882200000)))
    assert frame.rows() == [(utc(2020, 6, 11, 13, 30), 349.31, 349.5, 348.05, 348.78, 1029145)]


@pytest.mark.parametrize(
    ("midnight", "day"),
    [(1704171600000, utc(2024, 1, 2)), (1719892800000, utc(2024, 7, 2))],  # 05:00 and 04:00 UTC
)
def test_a_day_of_polygon_begins_at_midnight_of_new_york(midnight: int, day: dt.datetime) -> None:
    assert polygon("1d").rows("AAPL", said(aggregate(t=midnight)))["Timestamp"].to_list() == [day]


def test_fractional_volumes_are_counted_in_their_unit() -> None:
    frame = polygon(volume_unit=1e-8).rows("BTC", said(aggregate(t=0, v=0.12345678), aggregate(t=60000, v=3)))
    assert frame["Volume"].to_list() == [12345678, 300000000]
    assert polygon().rows("AAPL", said(aggregate(t=0, v=100.4)))["Volume"].to_list() == [100]
