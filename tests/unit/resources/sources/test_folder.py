import datetime as dt
import hashlib
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from resources.sources import FolderSource, SourceError, SourceFileRefused
from resources.sources.synthetic_package import write_package
from trading.bars import assemble_m1
from trading.contracts import validate
from trading.ports.sources import BarSource
from trading.synthetic import SyntheticMarket

WED, THANKSGIVING, FRI, MON = (dt.date(2023, 11, d) for d in (22, 23, 24, 27))


def _csv(frame: pl.DataFrame, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    frame.with_columns(pl.col("Timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv(file)


def _write(frame: pl.DataFrame, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    _csv(frame, file) if file.suffix == ".csv" else frame.write_parquet(file)


def _by_utc_day(frame: pl.DataFrame, folder: Path, suffix: str) -> None:
    """One file per UTC day, so that winter evenings land in the next day's file."""
    for (day,), part in frame.group_by(pl.col("Timestamp").dt.date(), maintain_order=True):
        _write(part, folder / f"{day}.{suffix}")


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("cache_bytes", [1 << 30, 0], ids=["cached", "by_slice"])
def test_a_file_per_symbol_gives_local_dates(
    suffix: str, cache_bytes: int, minutes: pl.DataFrame, tmp_path: Path
) -> None:
    _write(minutes, tmp_path / f"AAA.{suffix}")
    source = FolderSource(tmp_path, cache_bytes=cache_bytes)
    assert isinstance(source, BarSource)
    assert source.symbols() == ["AAA"]
    assert source.sessions() == [WED, FRI, MON]
    wednesday = source.read_session(WED)
    validate(wednesday.frame, "m1_raw")
    assert wednesday.frame["Volume"].to_list() == [1, 2, 3], "the evening row on the next UTC day belongs to Wednesday"
    assert wednesday.frame["source_file"].unique().to_list() == [f"AAA.{suffix}"]
    digest = hashlib.sha256((tmp_path / f"AAA.{suffix}").read_bytes()).hexdigest()
    assert dict(wednesday.files) == {f"AAA.{suffix}": digest}
    assert source.read_session(FRI).frame["Volume"].to_list() == [5]
    assert_frame_equal(source.read_session(WED).frame, wednesday.frame)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_file_per_day_gives_the_same_sessions(suffix: str, minutes: pl.DataFrame, tmp_path: Path) -> None:
    _by_utc_day(minutes, tmp_path / "AAA", suffix)
    source = FolderSource(tmp_path)
    assert source.sessions() == [WED, FRI, MON]
    wednesday = source.read_session(WED)
    assert wednesday.frame["Volume"].to_list() == [1, 2, 3]
    assert [(s.kind, s.file, s.rows) for s in wednesday.skips] == [
        ("date_disagrees", f"AAA/2023-11-23.{suffix}", 1),
    ]
    assert sorted(wednesday.files) == [f"AAA/2023-11-22.{suffix}", f"AAA/2023-11-23.{suffix}"]


def test_a_holiday_is_counted_and_empty(minutes: pl.DataFrame, tmp_path: Path) -> None:
    _write(minutes, tmp_path / "AAA.parquet")
    source = FolderSource(tmp_path)
    raw = source.read_session(THANKSGIVING)
    assert raw.frame.is_empty()
    assert raw.frame.schema == source.read_session(WED).frame.schema
    assert [(s.kind, s.rows) for s in raw.skips] == [("not_a_session", 1)]
    assert [(s.kind, s.session, s.rows) for s in source.skips()] == [("not_a_session", THANKSGIVING, 1)]


def test_rows_are_kept_as_received(minutes: pl.DataFrame, tmp_path: Path) -> None:
    """Order, duplicates and wrong rows are for assembly to judge, not for the source."""
    wrong = minutes.with_columns(High=pl.lit(1.0))
    received = pl.concat([wrong[1:2], minutes[0:1], minutes[0:1]])
    received.write_parquet(tmp_path / "AAA.parquet")
    frame = FolderSource(tmp_path).read_session(WED).frame
    assert frame["Volume"].to_list() == [2, 1, 1]
    assert frame["High"].to_list() == [1.0, 10.5, 10.5]


def test_rows_out_of_date_order_are_found(minutes: pl.DataFrame, tmp_path: Path) -> None:
    minutes.reverse().write_parquet(tmp_path / "AAA.parquet")
    for cache in (1 << 30, 0):
        source = FolderSource(tmp_path, cache_bytes=cache)
        assert source.read_session(WED).frame["Volume"].to_list() == [3, 2, 1]
    minutes[[0, 4, 1, 5, 2]].write_parquet(tmp_path / "AAA.parquet")
    for cache in (1 << 30, 0):
        source = FolderSource(tmp_path, cache_bytes=cache)
        assert source.read_session(WED).frame["Volume"].to_list() == [1, 2, 3]


def test_symbols_come_sorted_and_can_be_chosen(minutes: pl.DataFrame, tmp_path: Path) -> None:
    minutes.write_parquet(tmp_path / "BBB.parquet")
    minutes.write_parquet(tmp_path / "AAA.parquet")
    source = FolderSource(tmp_path)
    assert source.read_session(FRI).frame["Symbol"].to_list() == ["AAA", "BBB"]
    assert source.read_session(FRI, symbols=["BBB"]).frame["Symbol"].to_list() == ["BBB"]
    with pytest.raises(SourceError, match="no file of Symbol 'ZZZ'; it has AAA, BBB"):
        source.read_session(FRI, symbols=["ZZZ"])


def test_a_changed_file_is_read_again(minutes: pl.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "AAA.parquet"
    minutes[:2].write_parquet(file)
    source = FolderSource(tmp_path)
    before = source.read_session(WED)
    minutes.write_parquet(file)
    after = source.read_session(WED)
    assert (before.frame.height, after.frame.height) == (2, 3)
    assert before.files != after.files
    assert source.sessions() == [WED, FRI, MON]
    file.unlink()
    with pytest.raises(SourceFileRefused, match="it was there before"):
        source.read_session(WED)


def test_widths_and_zones_are_brought_to_ours(minutes: pl.DataFrame, tmp_path: Path) -> None:
    odd = minutes.select(
        pl.col("Timestamp").dt.convert_time_zone("America/New_York").cast(pl.Datetime("ns", "America/New_York")),
        pl.col("Open").cast(pl.Float32),
        pl.lit(11, pl.Int32).alias("High"),
        pl.lit(9, pl.UInt8).alias("Low"),
        "Close",
        pl.col("Volume").cast(pl.Float64),
        pl.lit("AAA").alias("Symbol"),
    )
    odd.write_parquet(tmp_path / "AAA.parquet")
    frame = FolderSource(tmp_path).read_session(WED).frame
    assert frame["Timestamp"].to_list() == minutes["Timestamp"][:3].to_list()
    assert frame["Open"].to_list() == [10.0, 10.1, 10.2], "Float32 comes through its shortest decimal"
    assert frame["High"].to_list() == [11.0] * 3
    assert frame["Volume"].dtype == pl.Int64


@pytest.mark.parametrize(
    "stamp",
    ["2023-11-22T14:30:00Z", "2023-11-22 15:30:00+01:00", "2023-11-22T09:30-0500", "2023-11-22T14:30:00.000000+00:00"],
)
def test_csv_instants_with_any_explicit_offset(stamp: str, tmp_path: Path) -> None:
    (tmp_path / "AAA.csv").write_text(f"Timestamp,Open,High,Low,Close,Volume\n{stamp},1,1.5,0.5,1.25,100\n")
    frame = FolderSource(tmp_path).read_session(WED).frame
    assert frame["Timestamp"].to_list() == [dt.datetime(2023, 11, 22, 14, 30, tzinfo=dt.UTC)]
    assert frame.row(0)[2:7] == (1.0, 1.5, 0.5, 1.25, 100)


def test_the_synthetic_package_comes_back_whole(tmp_path: Path) -> None:
    market = SyntheticMarket(sessions=5)
    write_package(tmp_path, market)
    source = FolderSource(tmp_path)
    assert source.label == market.label
    assert source.sessions() == market.sessions
    assert source.problems() == []
    assert source.skips() == []
    parts = [source.read_session(day).frame.drop("source_file") for day in source.sessions()]
    both = (pl.concat(parts), market.m1())
    assert_frame_equal(*(frame.sort("Symbol", "Timestamp", maintain_order=True) for frame in both))


def test_real_minutes_of_all_sessions_assemble(market_data: Path) -> None:
    source = FolderSource(market_data / "m1")
    assert source.symbols() == ["AAPL", "AIG", "BAC", "GOOG", "IBM", "SPY"]
    assert len(source.sessions()) == 14
    assert source.label is None
    assert source.problems() == []
    rows = 0
    for day in source.sessions():
        raw = source.read_session(day)
        assert raw.skips == ()
        rows += raw.frame.height
        report = assemble_m1([raw.frame]).report
        assert report["session"].unique().to_list() == [day]
        assert report["coverage"].min() > 0.97  # type: ignore[operator]
    assert rows == 14_010


def test_real_futures_on_holidays_are_shown(market_data: Path) -> None:
    source = FolderSource(market_data / "m1_futures")
    assert len(source.sessions()) == 50
    skips = [(s.kind, str(s.session), s.rows) for s in source.skips()]
    assert skips == [("not_a_session", "2020-01-20", 210), ("not_a_session", "2020-02-17", 210)]
