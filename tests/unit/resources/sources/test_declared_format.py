"""Files in a vendor's own form, read by what is declared about them."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from resources.sources import SourceError
from resources.sources.context import SourceContext
from resources.sources.folder import FolderConfig, FolderSource
from trading.bars import assemble_m1
from trading.contracts import validate

MONDAY = dt.date(2023, 10, 2)
FIRST = dt.datetime(2023, 10, 2, 13, 30, tzinfo=dt.UTC)  # 09:30 New York, summer time
OHLCV = "1,1.5,0.5,1.25,100"
MINE = {"Open": "o", "High": "h", "Low": "l", "Close": "c", "Volume": "v"}


def _open(
    folder: Path, calendar: str = "XNYS", symbols: tuple[str, ...] | None = None, **declared: Any
) -> FolderSource:
    config = FolderConfig.model_validate({"path": folder.name, **declared})
    clock: Callable[[], dt.datetime] = lambda: FIRST  # noqa: E731
    return config.open(SourceContext(folder.parent, folder / "downloads", calendar, symbols, clock, {}))


def _csv(folder: Path, *lines: str, header: str = "t,o,h,l,c,v", name: str = "AAA.csv") -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join([header, *lines]) + "\n")


def _naive(*times: str) -> pl.Series:
    return pl.Series(times).str.to_datetime("%Y-%m-%d %H:%M", time_unit="us")


@pytest.mark.parametrize(
    ("stamp", "declared"),
    [
        ("2023-10-02 09:30:00", {"zone": "America/New_York"}),
        ("2023-10-02T09:30", {"zone": "America/New_York"}),
        ("2023-10-02 15:30", {"zone": "Europe/Berlin"}),
        ("2023-10-02 13:30:00.000", {"zone": "UTC"}),
        ("2023-10-02T13:30:00Z", {}),
        ("2023-10-02T15:30:00+02:00", {"zone": "America/New_York"}),  # an offset in the data says more than the zone
        ("2023-10-02 09:31:00", {"zone": "America/New_York", "timestamp": "end"}),
        ("02.10.2023 15:30", {"zone": "Europe/Berlin", "time_format": "%d.%m.%Y %H:%M"}),
        ("20231002 093000 -0400", {"time_format": "%Y%m%d %H%M%S %z"}),
        ("1696253400", {"time_format": "unix_seconds"}),
        ("1696253400000", {"time_format": "unix_milliseconds"}),
        ("1696253460000000", {"time_format": "unix_microseconds", "timestamp": "end"}),
    ],
)
def test_one_instant_in_many_forms(stamp: str, declared: dict[str, Any], tmp_path: Path) -> None:
    _csv(tmp_path, f"{stamp},{OHLCV}")
    raw = _open(tmp_path, columns={"Timestamp": "t", **MINE}, **declared).read_session(MONDAY)
    validate(raw.frame, "m1_raw")
    assert raw.frame.row(0) == ("AAA", FIRST, 1.0, 1.5, 0.5, 1.25, 100, "AAA.csv")


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin"])
@pytest.mark.parametrize(
    ("stamps", "declared"),
    [
        (pl.Series(["09:30", "09:31"]), {}),
        (pl.Series([dt.time(9, 30), dt.time(9, 31)]), {}),
    ],
)
def test_a_date_and_a_time_of_day_in_two_columns(
    stamps: pl.Series, declared: dict[str, Any], zone: str, tmp_path: Path
) -> None:
    days = pl.Series([MONDAY, MONDAY])
    if stamps.dtype == pl.String:
        days = days.cast(pl.String)
    frame = pl.DataFrame(
        {"date": days, "time": stamps, **{c: [1.0, 1.0] for c in "ohlc"}, "v": [1, 2], "vwap": [1.0, 1.0]}
    )
    frame.write_parquet(tmp_path / "AAA.parquet")
    columns = {"Timestamp": ["date", "time"], **MINE}
    found = _open(tmp_path, columns=columns, zone=zone, **declared).read_session(MONDAY).frame
    hours = {"America/New_York": 13, "Europe/Berlin": 7}
    assert found["Timestamp"][0] == dt.datetime(2023, 10, 2, hours[zone], 30, tzinfo=dt.UTC)
    assert found["Volume"].to_list() == [1, 2], "columns that are not declared are left alone"


def test_a_pair_of_text_columns_with_a_pattern(tmp_path: Path) -> None:
    _csv(tmp_path, f"10/02/2023,0930,{OHLCV}", header="d,t,o,h,l,c,v")
    columns = {"Timestamp": ["d", "t"], **MINE}
    declared = {"zone": "America/New_York", "time_format": "%m/%d/%Y %H%M"}
    assert _open(tmp_path, columns=columns, **declared).read_session(MONDAY).frame["Timestamp"].to_list() == [FIRST]


def test_typed_parquet_times(tmp_path: Path) -> None:
    figures = {c: [1.0] for c in "ohlc"} | {"v": [1]}
    local = _naive("2023-10-02 09:30")
    for name, times, declared in [
        ("naive", local, {"zone": "America/New_York"}),
        ("zoned", local.dt.replace_time_zone("America/New_York"), {}),
        ("count", pl.Series([1696253400]), {"time_format": "unix_seconds"}),
        ("whole", pl.Series([1696253400.0]), {"time_format": "unix_seconds"}),
        ("text", pl.Series(["2023-10-02 09:30:00"]), {"zone": "America/New_York"}),
    ]:
        folder = tmp_path / name
        folder.mkdir()
        pl.DataFrame({"t": times, **figures}).write_parquet(folder / "AAA.parquet")
        source = _open(folder, columns={"Timestamp": "t", **MINE}, **declared)
        assert source.read_session(MONDAY).frame["Timestamp"].to_list() == [FIRST], name


@pytest.mark.parametrize(
    ("stamp", "declared", "says"),
    [
        ("2023-10-02 09:30:00", {}, "line 2: t is '2023-10-02 09:30:00'; it must be ISO 8601 with an explicit offset"),
        ("2023-10-02 09:30:00", {}, "or declare the `zone`"),
        ("02.10.2023", {"zone": "UTC"}, "line 2: t is '02.10.2023'; it must be ISO 8601, like 2023-10-02 09:30:00"),
        ("2023-10-02", {"time_format": "%d.%m.%Y %H:%M", "zone": "UTC"}, "it must be like %d.%m.%Y %H:%M, as declared"),
        ("02.10.2023 15:30", {"time_format": "%d.%m.%Y %H:%M"}, "t is naive: declare the `zone`"),
        (
            "1696253400.5",
            {"time_format": "unix_seconds"},
            "line 2: t is '1696253400.5'; it must be a whole number of unix",
        ),
        (
            "1696253400000000",
            {"time_format": "unix_seconds"},
            "it must be a time from 1900 to 2199; is it counted",
        ),
        ("1696253400", {"time_format": "unix_milliseconds"}, "its rows are from 1970-01-20 to 1970-01-20"),
        ("1696253400", {"time_format": "unix_milliseconds"}, "are its times declared right?"),
        # New York set its clocks back on 2023-11-05 at 02:00 and forward on 2023-03-12 at 02:00.
        (
            "2023-11-05 01:30:00",
            {"zone": "America/New_York"},
            "line 2: t is '2023-11-05 01:30:00'; it must be a time that",
        ),
        ("2023-11-05 01:30:00", {"zone": "America/New_York"}, "the clocks go back over it: store UTC or an offset"),
        (
            "2023-03-12 02:30:00",
            {"zone": "America/New_York"},
            "a time that exists in America/New_York; the clocks skip it",
        ),
    ],
)
def test_a_time_that_cannot_be_told_refuses_the_file(
    stamp: str, declared: dict[str, Any], says: str, tmp_path: Path
) -> None:
    _csv(tmp_path, f"{stamp},{OHLCV}")
    source = _open(tmp_path, columns={"Timestamp": "t", **MINE}, **declared)
    with pytest.raises(SourceError) as refused:
        source.sessions()
    assert says in str(refused.value)
    assert "AAA.csv" in str(refused.value)


def test_the_row_is_named_where_the_clocks_change(tmp_path: Path) -> None:
    """Both hours around the change are told, only the doubled one is not."""
    times = _naive("2023-11-05 00:59", "2023-11-05 01:00", "2023-11-05 02:00")
    frame = pl.DataFrame(
        {"Timestamp": times, **{c: [1.0] * 3 for c in ("Open", "High", "Low", "Close")}, "Volume": [1] * 3}
    )
    frame[[0, 2]].write_parquet(tmp_path / "AAA.parquet")
    told = _open(tmp_path, calendar="24/7", zone="America/New_York").read_session(dt.date(2023, 11, 5)).frame
    assert [t.hour for t in told["Timestamp"]] == [4, 7]
    frame.write_parquet(tmp_path / "AAA.parquet")
    with pytest.raises(
        SourceError, match=r"row 2: Timestamp is 2023-11-05 01:00:00; it must be a time that America/New_York"
    ):
        _open(tmp_path, calendar="24/7", zone="America/New_York").sessions()


def test_a_zone_keeps_the_open_at_the_open_across_the_year(tmp_path: Path) -> None:
    days = ["2023-03-10", "2023-03-13", "2023-11-03", "2023-11-06"]
    _csv(tmp_path, *(f"{day} 09:30,{OHLCV}" for day in days))
    source = _open(tmp_path, columns={"Timestamp": "t", **MINE}, zone="America/New_York")
    for day, utc_hour in zip(days, (14, 13, 13, 14), strict=True):
        raw = source.read_session(dt.date.fromisoformat(day))
        assert [t.hour for t in raw.frame["Timestamp"]] == [utc_hour]
        assert assemble_m1([raw.frame]).bars.height == 1


def test_prices_and_volumes_in_other_units(tmp_path: Path) -> None:
    _csv(tmp_path, "2023-10-02T13:30:00Z,6455700,6456000,6455600,6455700,0.29")
    declared = {"price_divisor": 10000, "volume_unit": 0.01}
    row = _open(tmp_path, columns={"Timestamp": "t", **MINE}, **declared).read_session(MONDAY).frame.row(0)
    assert row[2:7] == (645.57, 645.6, 645.56, 645.57, 29)


def test_european_csv(tmp_path: Path) -> None:
    _csv(tmp_path, "2023-10-02T13:30:00Z;1,0;1,5;0,5;1,25;100", header="t;o;h;l;c;v")
    columns = {"Timestamp": "t", **MINE}
    row = _open(tmp_path, columns=columns, separator=";", decimal=",").read_session(MONDAY).frame.row(0)
    assert row[2:7] == (1.0, 1.5, 0.5, 1.25, 100)


def test_volume_too_large_for_its_unit(tmp_path: Path) -> None:
    _csv(tmp_path, "2023-10-02T13:30:00Z,1,1,1,1,1e12")
    with pytest.raises(SourceError, match=r"line 2: v is 1000000000000\.0; it must be a number that fits 64 bits"):
        _open(tmp_path, columns={"Timestamp": "t", **MINE}, volume_unit=1e-8).sessions()


def test_a_declared_column_that_is_missing_is_named(tmp_path: Path) -> None:
    _csv(tmp_path, f"2023-10-02T13:30:00Z,{OHLCV}", header="T,o,h,l,c,v")
    with pytest.raises(
        SourceError, match="column 't' is missing; 'T' must be spelled 't'; the columns declared are t o"
    ):
        _open(tmp_path, columns={"Timestamp": "t", **MINE})


def test_a_declared_symbol_column_must_agree(tmp_path: Path) -> None:
    _csv(tmp_path, f"2023-10-02T13:30:00Z,{OHLCV},BBB", header="t,o,h,l,c,v,ticker")
    columns = {"Timestamp": "t", **MINE}
    assert _open(tmp_path, columns=columns).read_session(MONDAY).frame.height == 1
    with pytest.raises(SourceError, match="1 rows of Symbol 'BBB'; it must hold only 'AAA'"):
        _open(tmp_path, columns={**columns, "Symbol": "ticker"}).sessions()


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({"zone": "New York"}, "'New York' is no IANA time zone; it must be like America/New_York"),
        ({"time_format": "seconds"}, "'seconds' must be iso, unix_seconds"),
        ({"columns": {"Price": "p"}}, "Extra inputs are not permitted"),
        (
            {"columns": {"Timestamp": ["d", "t"]}, "time_format": "unix_seconds"},
            "a pair of columns for Timestamp cannot",
        ),
        ({"step": "1d", "zone": "UTC"}, "carry a date only"),
        ({"separator": ",", "decimal": ","}, "they must differ"),
        ({"volume_unit": 0}, "greater than 0"),
        ({"pattern": "{date}.csv"}, "must have {symbol} once"),
        ({"pattern": "{symbol}_1m"}, "end in .parquet or .csv"),
    ],
)
def test_a_declaration_that_makes_no_sense(declared: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        FolderConfig.model_validate({"path": "x", **declared})
    assert says in str(wrong.value)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("{symbol}_1m.csv", ["AAA_1m.csv", "BRK.B_1m.csv"]),
        ("minute/{symbol}.csv", ["minute/AAA.csv", "minute/BRK.B.csv"]),
        ("{date}/{symbol}.csv", ["2023-10-02/AAA.csv", "2023-10-02/BRK.B.csv"]),
        (
            "{symbol}/{symbol_date}.csv".replace("{symbol_date}", "bars-{date}"),
            ["AAA/bars-20231002.csv", "BRK.B/bars-20231002.csv"],
        ),
    ],
)
def test_names_of_files_by_pattern(pattern: str, names: list[str], tmp_path: Path) -> None:
    for name in names:
        _csv(tmp_path, f"2023-10-02T13:30:00Z,{OHLCV}", name=name)
    (tmp_path / "notes.txt").write_text("x")
    source = _open(tmp_path, pattern=pattern, columns={"Timestamp": "t", **MINE})
    assert source.symbols() == ["AAA", "BRK.B"]
    assert source.sessions() == [MONDAY]
    assert source.read_session(MONDAY).frame["source_file"].to_list() == names
    assert [skip.file for skip in source.skips()] == ["notes.txt"]


def test_a_pattern_with_a_date_that_is_none(tmp_path: Path) -> None:
    _csv(tmp_path, f"2023-10-02T13:30:00Z,{OHLCV}", name="20231002/AAA.csv")
    _csv(tmp_path, f"2023-10-02T13:30:00Z,{OHLCV}", name="20231302/AAA.csv")
    source = _open(tmp_path, pattern="{date}/{symbol}.csv", columns={"Timestamp": "t", **MINE})
    assert [str(problem) for problem in source.problems()] == ["20231302/AAA.csv: 20231302 is no date"]


def test_only_the_wanted_symbols_and_those_that_are_missing(tmp_path: Path) -> None:
    for symbol in ("AAA", "BBB", "CCC"):
        _csv(tmp_path, f"2023-10-02T13:30:00Z,{OHLCV}", name=f"{symbol}.csv")
    columns = {"Timestamp": "t", **MINE}
    source = _open(tmp_path, symbols=("BBB", "CCC", "ZZZ"), columns=columns)
    assert source.symbols() == ["BBB", "CCC"]
    raw = source.read_session(MONDAY)
    assert raw.frame["Symbol"].to_list() == ["BBB", "CCC"]
    assert [(skip.kind, skip.symbol) for skip in raw.skips] == [("missing_file", "ZZZ")]
    assert [problem.symbol for problem in source.problems()] == ["ZZZ"]
    with pytest.raises(SourceError, match="no file of the wanted Symbols ZZZ; it has AAA, BBB, CCC"):
        _open(tmp_path, symbols=("ZZZ",), columns=columns)


def test_arrival_is_when_the_file_was_written(tmp_path: Path) -> None:
    import os

    _csv(tmp_path, f"2023-10-02T13:30:00Z,{OHLCV}")
    moment = dt.datetime(2023, 10, 3, 4, 5, 6, tzinfo=dt.UTC)
    os.utime(tmp_path / "AAA.csv", (moment.timestamp(), moment.timestamp()))
    raw = _open(tmp_path, columns={"Timestamp": "t", **MINE}).read_session(MONDAY)
    assert dict(raw.arrived) == {"AAA.csv": moment}


def test_real_crypto_minutes_with_a_declared_unit(market_data: Path) -> None:
    folder = market_data / "crypto"
    source = _open(folder, calendar="24/7", pattern="{symbol}_1m.parquet", volume_unit=1e-8)
    assert source.symbols() == ["BTCUSD_COINBASE"]
    raw = source.read_session(dt.date(2018, 4, 6))
    real = pl.read_parquet(folder / "BTCUSD_COINBASE_1m.parquet").filter(
        pl.col("Timestamp").dt.date() == dt.date(2018, 4, 6)
    )
    assert raw.frame.height == real.height
    assert raw.frame["Volume"].sum() / 1e8 == pytest.approx(real["Volume"].sum(), rel=1e-12)
