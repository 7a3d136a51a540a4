"""Data of another time, or refused data, that does not fit the tables of today."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from resources.warehouse import SOURCES, ModelError, PartitionFile, SourceError, open_as_of

MODELS = Path(__file__).resolve().parents[4] / "dbt_like_sql" / "models"
DAY = dt.date(2024, 1, 2)
BARS = pl.DataFrame(
    {
        "Symbol": ["A", "B"],
        "Timestamp": [dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)] * 2,
        **{price: [10.0, 20.0] for price in ("Open", "High", "Low", "Close")},
        "Volume": [100, 200],
        "session": [DAY] * 2,
        "minutes": [390] * 2,
        "complete": [True] * 2,
    },
    schema=dict(SOURCES["d1_bars"]),
)


def listing(folder: Path, bars: pl.DataFrame | bytes) -> Callable[[str, str], list[PartitionFile | Path]]:
    """A commit whose d1_bars are ``bars`` and whose m5_bars are as they should be."""
    file, good = folder / "bars.parquet", folder / "good.parquet"
    if isinstance(bars, bytes):
        file.write_bytes(bars)
    else:
        bars.write_parquet(file)
    BARS.write_parquet(good)
    files = {"d1_bars": [PartitionFile(file, {"session": DAY.isoformat()})], "m5_bars": [good]}
    return lambda _, dataset: list(files.get(dataset, []))


def test_a_dataset_without_a_column_is_given_as_it_is(tmp_path: Path) -> None:
    notes: dict[str, str] = {}
    list_files = listing(tmp_path, BARS.drop("Close"))
    with open_as_of("c", list_files, MODELS, on_misfit=notes.__setitem__) as connection:
        shown = connection.sql("SELECT * FROM d1_bars ORDER BY Symbol").pl()
        assert "Close" not in shown.columns and shown["Volume"].to_list() == [100, 200]
        assert connection.sql("SELECT count(*) FROM m5_bars").fetchall() == [(2,)]
        assert connection.sql("SELECT count(*) FROM variant_performance").fetchall() == [(0,)]
        tables = {name for (name,) in connection.sql("SHOW TABLES").fetchall()}
    assert "daily_bars_quality" not in tables
    assert set(notes) == {"d1_bars", "daily_bars_adjusted", "daily_bars_quality", "minutes_against_daily"}
    assert notes["d1_bars"].startswith("as it is: dataset d1_bars lacks the columns Close")
    assert notes["daily_bars_quality"].startswith("left out: ")


def test_a_column_of_another_type_costs_only_the_models_on_it(tmp_path: Path) -> None:
    notes: dict[str, str] = {}
    list_files = listing(tmp_path, BARS.cast({"Close": pl.String}))
    with open_as_of("c", list_files, MODELS, on_misfit=notes.__setitem__) as connection:
        assert connection.sql("SELECT Close FROM d1_bars ORDER BY Symbol").fetchall() == [("10.0",), ("20.0",)]
        assert connection.sql("SELECT count(*) FROM m5_bars").fetchall() == [(2,)]
    assert set(notes) == {"daily_bars_adjusted", "daily_bars_quality", "minutes_against_daily"}


def test_a_file_that_is_no_parquet_costs_only_its_dataset(tmp_path: Path) -> None:
    notes: dict[str, str] = {}
    with open_as_of("c", listing(tmp_path, b"no parquet"), MODELS, on_misfit=notes.__setitem__) as connection:
        assert connection.sql("SELECT count(*) FROM m5_bars").fetchall() == [(2,)]
    assert notes["d1_bars"].startswith("left out: ")


def test_with_nobody_to_tell_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="lacks the columns Close"):
        open_as_of("c", listing(tmp_path, BARS.drop("Close")), MODELS)
    with pytest.raises(ModelError, match=r"daily_bars_\w+\.sql:\d+: "):
        open_as_of("c", listing(tmp_path, BARS.cast({"Close": pl.String})), MODELS)
