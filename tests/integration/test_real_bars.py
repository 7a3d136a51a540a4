"""Recorded minutes with the faults they came with: each is handled, and shows in the quality table."""

import datetime as dt
import os
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from trading.bars import AssembledBars, assemble_m1, daily_quality
from trading.contracts import validate
from trading.sessions import get_calendar

ROOT = Path(__file__).resolve().parents[2]
FUTURES = "CMES 09:30-16:00 America/New_York"
CRYPTO_UNIT = 1e-8


@pytest.fixture(scope="module")
def market_data() -> Path:
    folder = Path(os.environ.get("TRADING_TEST_MARKET_DATA") or ROOT.parent / "shared" / "market_data")
    if not (folder / "m1").is_dir():
        pytest.skip(f"no real minutes in {folder}; set TRADING_TEST_MARKET_DATA")
    return folder


@cache
def _minutes(folder: Path, kind: str, symbol: str, session: str) -> pl.DataFrame:
    """As received, of one file; of crypto that day's rows, because its file holds three."""
    if kind == "crypto":
        rows = pl.read_parquet(folder / kind / "BTCUSD_COINBASE_1m.parquet")
        rows = rows.filter(pl.col("Timestamp").dt.date() == dt.date.fromisoformat(session))
        rows = rows.with_columns((pl.col("Volume") / CRYPTO_UNIT).round().cast(pl.Int64))
    else:
        rows = pl.read_parquet(folder / kind / symbol / f"{session}.parquet")
        rows = rows.with_columns(pl.col("Volume").cast(pl.Int64))
    return rows.with_columns(Symbol=pl.lit(symbol))


def _table() -> Iterator[dict[str, str]]:
    table = pl.read_csv(ROOT / "tests" / "answers" / "bars_real_coverage.csv", infer_schema=False)
    yield from table.with_columns(pl.col("missing").fill_null("")).iter_rows(named=True)


def _ranges(stamps: list[dt.datetime], zone: str) -> str:
    """``12:08 16:48-23:59``: minutes in a row are one range, on the exchange's clock."""
    runs: list[list[dt.datetime]] = []
    for stamp in stamps:
        if runs and stamp - runs[-1][-1] == dt.timedelta(minutes=1):
            runs[-1].append(stamp)
        else:
            runs.append([stamp])
    shown = []
    for run in runs:
        low, high = (run[i].astimezone(ZoneInfo(zone)).strftime("%H:%M") for i in (0, -1))
        shown.append(low if low == high else f"{low}-{high}")
    return " ".join(shown)


def _quality(folder: Path, kind: str, symbol: str, session: str, calendar: str = "XNYS") -> dict[str, Any]:
    assembled = assemble_m1([_minutes(folder, kind, symbol, session)], calendar)
    return daily_quality(assembled, calendar).row(0, named=True)


def test_every_file_has_the_published_figures(market_data: Path) -> None:
    """84 Symbol days of stocks, a future, an index and a coin, from the table that came with them."""
    tables = []
    for day in _table():
        raw = _minutes(market_data, day["folder"], day["symbol"], day["session"])
        assembled = assemble_m1([raw], day["calendar"])
        quality = daily_quality(assembled, day["calendar"])
        tables.append(quality)
        assert quality.height == assembled.report.height == 1, day
        row = quality.row(0, named=True)
        outside = int(day["before_open"]) + int(day["after_close"])
        zone = str(get_calendar(day["calendar"]).timezone)
        found = {
            "session": str(row["session"]),
            "rows": row["rows_in"],
            "minutes_present": row["minutes_present"],
            "minutes_expected": row["minutes_expected"],
            "missing": _ranges(row["missing"], zone),
            "longest_gap": row["longest_gap"],
            "zero_volume": row["zero_volume"],
            "off_tick": row["off_tick"],
            "outside": row["rows_outside_session"],
        }
        assert {name: str(value) for name, value in found.items()} == {
            name: day.get(name, str(outside)) for name in found
        }
        assert row["coverage"] == int(day["minutes_present"]) / int(day["minutes_expected"])
        assert row["volume"] == assembled.bars["Volume"].sum()
    validate(pl.concat(tables).sort("Symbol", "session"), "bar_quality")


def test_the_future_s_whole_season_in_one_call(market_data: Path) -> None:
    """52 sessions, two of them on days that the stock exchange was closed, over the change to summer time."""
    files = [day["session"] for day in _table() if day["symbol"] == "ES_XYZ"]
    season = [_minutes(market_data, "m1_futures", "ES_XYZ", session) for session in files]
    assembled = assemble_m1(reversed(season), FUTURES)
    assert assembled.report["session"].cast(pl.String).to_list() == files
    assert assembled.report["rows_outside_session"].sum() == 0
    assert assembled.bars.height == sum(frame.height for frame in season)
    local = assembled.bars.with_columns(at=pl.col("Timestamp").dt.convert_time_zone("America/New_York").dt.time())
    assert local.group_by("session").agg(pl.col("at").min())["at"].unique().to_list() == [dt.time(9, 30)]
    busiest = local.filter(pl.col("Volume") == pl.col("Volume").max().over("session"))
    on_change = busiest.filter(pl.col("session").is_in([dt.date(2020, 3, 6), dt.date(2020, 3, 9)]))
    assert on_change["at"].to_list() == [dt.time(15, 59)] * 2
    assert on_change["Timestamp"].dt.hour().to_list() == [20, 19]


def test_on_the_stock_calendar_the_holiday_has_no_regular_minute(market_data: Path) -> None:
    assembled = assemble_m1([_minutes(market_data, "m1_futures", "ES_XYZ", "2020-01-20")], "XNYS")
    assert assembled.bars.is_empty()
    row = assembled.report.row(0, named=True)
    assert (row["rows_outside_session"], row["minutes_expected"], row["coverage"]) == (210, 0, None)


@pytest.mark.parametrize(
    ("session", "last", "first"),
    [("2020-03-09", dt.time(13, 35), dt.time(13, 49)), ("2020-03-12", dt.time(13, 36), dt.time(13, 50))],
)
def test_a_halt_is_one_gap_with_its_jump(session: str, last: dt.time, first: dt.time, market_data: Path) -> None:
    raw = _minutes(market_data, "m1_futures", "ES_XYZ", session)
    before = raw.filter(pl.col("Timestamp").dt.time() == last)["Close"].item()
    after = raw.filter(pl.col("Timestamp").dt.time() == first)["Open"].item()
    row = _quality(market_data, "m1_futures", "ES_XYZ", session, FUTURES)
    assert row["longest_gap"] == row["missing_minutes"] == 13
    assert row["gap_move"] == pytest.approx(after / before - 1, abs=1e-15)
    assert abs(after / before - 1) > 0.003


def test_stuck_prices_before_the_halt(market_data: Path) -> None:
    row = _quality(market_data, "m1_futures", "ES_XYZ", "2020-03-09", FUTURES)
    assert row["stuck_minutes"] == 4
    assert row["stuck_from"] == dt.datetime(2020, 3, 9, 13, 32, tzinfo=dt.UTC)
    raw = _minutes(market_data, "m1_futures", "ES_XYZ", "2020-03-09")
    at = pl.col("Timestamp").is_between(pl.lit(row["stuck_from"]), pl.lit(row["stuck_from"]) + pl.duration(minutes=3))
    assert raw.filter(at).select("Open", "High", "Low", "Close").unique().rows() == [(2748.25,) * 4]


def test_a_bar_over_the_split_lies_before_the_open(market_data: Path) -> None:
    """The first pre-market bar after the split spans a factor of seven: it is a true row, and it is cut."""
    raw = _minutes(market_data, "m1", "AAPL", "2014-06-09")
    assert raw["High"][0] / raw["Low"][0] > 6.9
    bars = assemble_m1([raw]).bars
    assert bars.select(pl.col("High").max() / pl.col("Low").min()).item() < 1.1
    assert _quality(market_data, "m1", "AAPL", "2014-06-09")["outliers"] == 0


def test_rows_of_the_next_utc_day_stay_with_their_session(market_data: Path) -> None:
    for symbol, session, count in (("GOOG", "2015-12-28", 3), ("SPY", "2020-01-07", 2)):
        raw = _minutes(market_data, "m1", symbol, session)
        late = raw.filter(pl.col("Timestamp").dt.date() > dt.date.fromisoformat(session))
        assert late.height == count
        report = assemble_m1([raw]).report
        assert report["session"].cast(pl.String).to_list() == [session]
        assert get_calendar().belongs_to(late["Timestamp"]).cast(pl.String).unique().to_list() == [session]


def test_a_partial_tape_shows_in_the_volume(market_data: Path) -> None:
    """The table's volume over the daily bar's: whole everywhere but where the source saw a tenth of the market."""
    ratios = {}
    for day in _table():
        if day["folder"] == "m1" and day["symbol"] != "BAC":  # without a daily file
            row = _quality(market_data, "m1", day["symbol"], day["session"])
            daily = pl.read_parquet(market_data / "d1" / f"{day['symbol']}.parquet")
            whole = daily.filter(pl.col("Date") == dt.date.fromisoformat(day["session"]))["Volume"].item()
            ratios[day["symbol"], day["session"]] = row["volume"] / whole
    partial = {session: round(ratio, 4) for (_, session), ratio in ratios.items() if ratio < 0.99}
    assert partial == {"2020-01-06": 0.0762, "2020-01-07": 0.1128, "2020-01-08": 0.0643, "2020-01-09": 0.1195}


def test_off_tick_is_what_decimals_say(market_data: Path) -> None:
    raw = _minutes(market_data, "m1", "SPY", "2020-01-07")
    bars = assemble_m1([raw]).bars.select("Open", "High", "Low", "Close")
    by_hand = sum(any(Decimal(repr(price)) % Decimal("0.01") for price in row) for row in bars.iter_rows())
    assert _quality(market_data, "m1", "SPY", "2020-01-07")["off_tick"] == by_hand == 168


def test_the_index_has_a_bar_at_the_close_and_no_volume(market_data: Path) -> None:
    row = _quality(market_data, "m1_index", "SPX", "2019-11-05")
    assert (row["rows_in"], row["minutes_present"], row["rows_outside_session"]) == (391, 390, 1)
    assert (row["zero_volume"], row["volume"]) == (390, 0)


def test_all_stock_days_together_are_each_alone(market_data: Path) -> None:
    days = [day for day in _table() if day["folder"] == "m1"]
    frames = [_minutes(market_data, "m1", day["symbol"], day["session"]) for day in days]
    together = assemble_m1([pl.concat(frames).sample(fraction=1.0, shuffle=True, seed=3)])
    alone = [assemble_m1([frame]) for frame in frames]
    key = ["Symbol", "session"]
    assert together.bars.equals(pl.concat([a.bars for a in alone]).sort("Symbol", "Timestamp"))
    assert together.report.equals(pl.concat([a.report for a in alone]).sort(key))
    one_by_one = pl.concat([daily_quality(AssembledBars(a.bars, a.report)) for a in alone]).sort(key)
    assert daily_quality(together).equals(one_by_one)
