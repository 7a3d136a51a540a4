"""Daily bars in files: a date in the file, the session's open in the row."""

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from resources.sources import FolderSource, PackageSource, SourceError
from resources.sources.file_format import Columns, FileFormat
from trading.contracts import validate

DAILY = FileFormat(step="1d")
MIDNIGHT = pl.Series([dt.date(2023, 11, 22)]).cast(pl.Datetime("us"))
HEADER = "Date,Open,High,Low,Close,Volume\n"


def test_the_timestamp_is_the_open_of_the_session(tmp_path: Path) -> None:
    (tmp_path / "AAA.csv").write_text(HEADER + "2023-11-22,1,2,1,2,10\n2023-11-23,1,2,1,2,11\n2023-11-24,1,2,1,2,12\n")
    source = FolderSource(tmp_path, form=DAILY)
    assert source.step == "1d"
    assert source.sessions() == [dt.date(2023, 11, 22), dt.date(2023, 11, 24)]
    assert [(s.kind, s.session, s.rows) for s in source.skips()] == [("not_a_session", dt.date(2023, 11, 23), 1)]
    friday = source.read_session(dt.date(2023, 11, 24)).frame
    validate(friday, "m1_raw")
    assert friday.row(0) == ("AAA", dt.datetime(2023, 11, 24, 14, 30, tzinfo=dt.UTC), 1.0, 2.0, 1.0, 2.0, 12, "AAA.csv")
    tokyo = source.read_session(dt.date(2023, 11, 22), "XTKS").frame
    assert tokyo["Timestamp"].to_list() == [dt.datetime(2023, 11, 22, 0, 0, tzinfo=dt.UTC)]


@pytest.mark.parametrize(
    ("dates", "form"),
    [
        (pl.Series([dt.date(2023, 11, 22)]), DAILY),
        (MIDNIGHT, DAILY),
        (pl.Series([dt.datetime(2023, 11, 22, tzinfo=dt.UTC)]), DAILY),
        (pl.Series(["22/11/2023"]), FileFormat(step="1d", columns=Columns(), time_format="%d/%m/%Y")),
        (pl.Series([1700611200]), FileFormat(step="1d", columns=Columns(), time_format="unix_seconds")),
    ],
)
def test_one_date_in_many_forms(dates: pl.Series, form: FileFormat, tmp_path: Path) -> None:
    prices = {name: [1.0] for name in ("Open", "High", "Low", "Close")}
    pl.DataFrame({"Date": dates, **prices, "Volume": [1]}).write_parquet(tmp_path / "AAA.parquet")
    assert FolderSource(tmp_path, form=form).sessions() == [dt.date(2023, 11, 22)]


@pytest.mark.parametrize(
    ("dates", "says"),
    [
        (
            MIDNIGHT.dt.offset_by("14h30m"),
            "row 1: Date is 2023-11-22 14:30:00; it must be a date: midnight",
        ),
        (pl.Series(["2023-11-22"]), "column Date must be a date, it is String"),
        (pl.Series([None], dtype=pl.Date), "a Date is missing"),
    ],
)
def test_what_is_no_date_is_refused(dates: pl.Series, says: str, tmp_path: Path) -> None:
    prices = {name: [1.0] for name in ("Open", "High", "Low", "Close")}
    pl.DataFrame({"Date": dates, **prices, "Volume": [1]}).write_parquet(tmp_path / "AAA.parquet")
    with pytest.raises(SourceError) as refused:
        FolderSource(tmp_path, form=DAILY).sessions()
    assert says in str(refused.value)


def test_the_real_daily_files(market_data: Path) -> None:
    source = PackageSource(market_data / "d1", form=DAILY)
    assert source.symbols() == ["AAPL", "AIG", "GOOG", "IBM", "QQQ", "SPY"]
    sessions = source.sessions()
    assert (len(sessions), sessions[0], sessions[-1]) == (5849, dt.date(1998, 1, 2), dt.date(2021, 3, 31))
    assert source.skips() == []
    source.fetch(sessions)
    picked = [source.read_session(day) for day in sessions[::97]]
    real = pl.read_parquet(market_data / "d1" / "SPY.parquet")
    for raw in picked:
        mine = raw.frame.filter(pl.col("Symbol") == "SPY").row(0)
        assert mine[2:7] == real.row(by_predicate=pl.col("Date") == raw.session)[1:]
    assert sum(len(raw.files) for raw in picked) == sum(raw.frame.height for raw in picked)
