"""What a person gets for a folder that is wrong, in part or as a whole."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resources.sources import FolderSource, SourceError, SourceFileRefused
from resources.sources.file_format import FileFormat
from resources.sources.synthetic_package import write_package
from trading.errors import TradingError
from trading.ports.sources import Step
from trading.synthetic import SyntheticMarket

WED = dt.date(2023, 11, 22)
HEADER = "Timestamp,Open,High,Low,Close,Volume\n"
LINE = "2023-11-22T14:30:00Z,1,1.5,0.5,1.25,100\n"


def test_missing_file_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist; the source must be a folder"):
        FolderSource(tmp_path / "nope")
    with pytest.raises(SourceError, match="is empty; it must hold"):
        FolderSource(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(SourceError, match="is a file; the source must be a folder"):
        FolderSource(tmp_path / "file")


def test_a_folder_of_the_wrong_thing_says_what_was_found(tmp_path: Path) -> None:
    for name in ("notes.txt", "photo.jpg"):
        (tmp_path / name).write_text("x")
    with pytest.raises(SourceError, match=r"found notes.txt, photo.jpg; it must hold \{SYMBOL\}.parquet"):
        FolderSource(tmp_path)


@pytest.mark.parametrize(
    ("says", "change"),
    [
        ("'open' must be spelled 'Open'", lambda f: f.rename({c: c.lower() for c in f.columns if c != "Timestamp"})),
        ("'timestamp' must be spelled 'Timestamp'", lambda f: f.rename({"Timestamp": "timestamp"})),
        ("column 'Low' is missing", lambda f: f.drop("Low")),
        ("column 'vwap' is not expected", lambda f: f.with_columns(vwap=1.0)),
        ("Timestamp is naive", lambda f: f.with_columns(pl.col("Timestamp").dt.replace_time_zone(None))),
        ("Timestamp must be a timestamp", lambda f: f.with_columns(pl.col("Timestamp").dt.epoch("us"))),
        ("Close must be a number, it is String", lambda f: f.with_columns(pl.col("Close").cast(pl.String))),
        ("Volume must be a number, it is Boolean", lambda f: f.with_columns(Volume=pl.lit(True))),
        ("Volume is 1.5; it must be whole", lambda f: f.with_columns(Volume=pl.lit(1.5))),
        ("Volume is nan; it must be whole", lambda f: f.with_columns(Volume=pl.lit(float("nan")))),
        ("Symbol 'BBB'; it must hold only 'AAA'", lambda f: f.with_columns(Symbol=pl.lit("BBB"))),
        ("a Timestamp is missing", lambda f: f.with_columns(Timestamp=pl.lit(None, f.schema["Timestamp"]))),
        (
            "finer than microseconds",
            lambda f: f.with_columns(
                pl.col("Timestamp").cast(pl.Datetime("ns", "UTC")) + pl.duration(nanoseconds=1, time_unit="ns")
            ),
        ),
    ],
)
def test_a_wrong_parquet_is_refused_alone(
    says: str, change: Callable[[pl.DataFrame], pl.DataFrame], minutes: pl.DataFrame, tmp_path: Path
) -> None:
    change(minutes).write_parquet(tmp_path / "AAA.parquet")
    with pytest.raises(TradingError, match=r"AAA\.parquet") as alone:
        FolderSource(tmp_path).sessions()
    assert says in str(alone.value)

    minutes.write_parquet(tmp_path / "GOOD.parquet")
    source = FolderSource(tmp_path)
    assert source.sessions()[0] == WED
    raw = source.read_session(WED)
    assert raw.frame["Symbol"].unique().to_list() == ["GOOD"], "one bad file does not lose the rest"
    assert [(s.kind, s.file) for s in raw.skips] == [("refused_file", "AAA.parquet")]
    assert [(p.file, p.symbol) for p in source.problems()] == [("AAA.parquet", "AAA")]
    assert says in str(source.problems()[0])
    assert source.symbols() == ["GOOD"]
    with pytest.raises(SourceFileRefused, match=r"AAA\.parquet"):
        source.read_session(WED, symbols=["AAA"])
    with pytest.raises(SourceFileRefused, match=r"AAA\.parquet"):
        source.read_session(WED, symbols=["AAA", "GOOD"])
    assert source.read_session(WED, symbols=["GOOD"]).frame.height == 3


@pytest.mark.parametrize(
    ("says", "text"),
    [
        ("line 3: 5 fields; every line must have 6", HEADER + LINE + "2023-11-22T14:31:00Z,1,1,1,1\n"),
        ("line 3: 7 fields; every line must have 6", HEADER + LINE + "2023-11-22T14:31:00Z,1,1,1,1,1,9\n"),
        ("line 3: Close is 'n/a'; it must be a number", HEADER + LINE + "2023-11-22T14:31:00Z,1,1,1,n/a,5\n"),
        ("line 2: Volume is ''; it must be a number", HEADER + "2023-11-22T14:31:00Z,1,1,1,1,\n"),
        ("line 2: Timestamp is '2023-11-22 14:30:00'; it must be ISO 8601", HEADER + "2023-11-22 14:30:00,1,1,1,1,1\n"),
        ("line 2: Timestamp is '22.11.2023 14:30'", HEADER + "22.11.2023 14:30,1,1,1,1,1\n"),
        ("line 2: Timestamp is '2023-13-22T14:30:00Z'", HEADER + "2023-13-22T14:30:00Z,1,1,1,1,1\n"),
        ("Volume is 0.25; it must be whole", HEADER + "2023-11-22T14:30:00Z,1,1,1,1,0.25\n"),
        ("column 'Timestamp' is missing", "Date;Open;High;Low;Close;Volume\n"),
        ("column 'Volume' is missing; 'volume' must be spelled 'Volume'", HEADER.replace("Vol", "vol") + LINE),
        ("column 'Timestamp' is missing", ""),
        ("cannot be read as CSV", "\x00\xff\xfe"),
    ],
)
def test_a_broken_csv_names_its_line(says: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "AAA.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(SourceError) as refused:
        FolderSource(tmp_path).sessions()
    assert "AAA.csv" in str(refused.value)
    assert says in str(refused.value)


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_truncated_parquet_is_refused(keep: float, minutes: pl.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "AAA.parquet"
    minutes.write_parquet(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(keep if keep >= 1 else keep * len(whole))])
    with pytest.raises(SourceError, match=r"AAA.parquet: cannot be read as Parquet"):
        FolderSource(tmp_path)


def test_a_file_that_makes_the_reader_panic_is_refused_alone(minutes: pl.DataFrame, tmp_path: Path) -> None:
    """The reader answers a zone that does not exist with a panic, which is no Exception."""
    table = minutes.to_arrow()
    instants = table["Timestamp"].cast(pa.timestamp("us", "Mars/Base"))
    pq.write_table(table.set_column(0, "Timestamp", instants), tmp_path / "AAA.parquet")
    minutes.write_parquet(tmp_path / "GOOD.parquet")
    source = FolderSource(tmp_path)
    assert [p.file for p in source.problems()] == ["AAA.parquet"]
    assert "cannot be read as Parquet" in str(source.problems()[0])
    assert source.read_session(WED).frame["Symbol"].unique().to_list() == ["GOOD"]


@pytest.mark.parametrize("micros", [2**63 - 1, -(2**63), 2**62, -(2**62), 253_402_300_800_000_000])
@pytest.mark.parametrize("zone", ["UTC", None])
@pytest.mark.parametrize("step", ["1m", "1d"])
def test_a_wild_time_refuses_its_file_alone(
    micros: int, zone: str | None, step: Step, minutes: pl.DataFrame, tmp_path: Path
) -> None:
    """A damaged value is any number; most of them are no date that anything can count with."""
    form = FileFormat(step=step) if step == "1d" else FileFormat(zone="UTC")
    column = form.time_columns[0]
    times = minutes["Timestamp"].dt.truncate("1d" if step == "1d" else "1m").dt.replace_time_zone(zone)
    wild = times.to_physical().scatter(3, micros).cast(times.dtype)
    prices = minutes.drop("Timestamp")
    prices.with_columns(times.alias(column)).write_parquet(tmp_path / "GOOD.parquet")
    prices.with_columns(wild.alias(column)).write_parquet(tmp_path / "AAA.parquet")
    source = FolderSource(tmp_path, form=form)
    assert WED in source.sessions()
    assert [p.file for p in source.problems()] == ["AAA.parquet"]
    assert f"row 4: {column} is" in str(source.problems()[0])
    assert "it must be a time from 1900 to 2199" in str(source.problems()[0])


def test_a_damaged_page_is_found_when_read(tmp_path: Path) -> None:
    """The footer is whole, so that the damage shows only in the rows."""
    write_package(tmp_path, SyntheticMarket(sessions=3, symbols=2))
    file = tmp_path / "SYNA.parquet"
    content = bytearray(file.read_bytes())
    content[3000:5000] = bytes(2000)
    file.write_bytes(content)
    source = FolderSource(tmp_path)
    assert len(source.sessions()) == 3
    assert [p.file for p in source.problems()] == ["SYNA.parquet"]
    assert source.read_session(source.sessions()[0]).frame["Symbol"].unique().to_list() == ["SYNB"]


def test_an_empty_file_is_a_visible_skip(minutes: pl.DataFrame, tmp_path: Path) -> None:
    minutes.write_parquet(tmp_path / "AAA.parquet")
    minutes.clear().write_parquet(tmp_path / "GONE.parquet")
    (tmp_path / "NONE.csv").write_text(HEADER)
    source = FolderSource(tmp_path)
    assert source.problems() == []
    assert [(s.kind, s.file) for s in source.read_session(WED).skips] == [
        ("empty_file", "GONE.parquet"),
        ("empty_file", "NONE.csv"),
    ]
    assert [s.file for s in source.skips() if s.kind == "empty_file"] == ["GONE.parquet", "NONE.csv"]


def test_strangers_are_left_alone_and_listed(minutes: pl.DataFrame, tmp_path: Path) -> None:
    minutes.write_parquet(tmp_path / "AAA.parquet")
    (tmp_path / "README.md").write_text("x")
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "BBB").mkdir()
    (tmp_path / "BBB" / "deeper").mkdir()
    skips = FolderSource(tmp_path).skips()
    assert [s.file for s in skips if s.kind == "foreign_file"] == ["BBB/deeper", "README.md"]


def test_a_day_file_must_be_named_and_filled_by_its_day(minutes: pl.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "AAA"
    folder.mkdir()
    minutes[:3].write_parquet(folder / "2023-11-22.parquet")
    minutes[:3].write_parquet(folder / "2023-11-32.parquet")
    minutes[:3].write_parquet(folder / "2023-11-27.parquet")
    source = FolderSource(tmp_path)
    assert [p.file for p in source.problems()] == ["AAA/2023-11-32.parquet"]
    with pytest.raises(SourceFileRefused, match="holds rows of 2023-11-22; a file of a day"):
        source.read_session(dt.date(2023, 11, 27))
    assert source.read_session(WED).frame.height == 3


def test_an_unusable_symbol_name_is_refused(minutes: pl.DataFrame, tmp_path: Path) -> None:
    minutes.write_parquet(tmp_path / "A B.parquet")
    with pytest.raises(SourceError, match="'A B' is no Symbol"):
        FolderSource(tmp_path)


def test_strict_refuses_the_folder_for_one_file(minutes: pl.DataFrame, tmp_path: Path) -> None:
    minutes.write_parquet(tmp_path / "AAA.parquet")
    minutes.drop("Low").write_parquet(tmp_path / "BBB.parquet")
    with pytest.raises(SourceFileRefused, match=r"BBB.parquet: column 'Low'"):
        FolderSource(tmp_path, strict=True)


def test_when_all_files_of_a_session_are_refused_it_raises(minutes: pl.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "AAA").mkdir()
    minutes[:3].write_parquet(tmp_path / "AAA" / "2023-11-22.parquet")
    minutes[4:5].drop("Low").write_parquet(tmp_path / "AAA" / "2023-11-24.parquet")
    source = FolderSource(tmp_path)
    with pytest.raises(SourceFileRefused, match="column 'Low'"):
        source.read_session(dt.date(2023, 11, 24))


def test_the_daily_files_are_not_minutes(market_data: Path) -> None:
    with pytest.raises(SourceError, match="none of the 6 files") as refused:
        FolderSource(market_data / "d1")
    assert "column 'Timestamp' is missing" in str(refused.value)


def test_fractional_volumes_say_what_to_do(market_data: Path) -> None:
    with pytest.raises(SourceError, match="multiply a fractional one"):
        FolderSource(market_data / "crypto", calendar="24/7").sessions()
