import datetime as dt
import os
from pathlib import Path

import polars as pl
import pytest

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="session")
def market_data() -> Path:
    folder = Path(os.environ.get("TRADING_TEST_MARKET_DATA") or ROOT.parent / "shared" / "market_data")
    if not (folder / "m1").is_dir():
        pytest.skip(f"no real minutes in {folder}; set TRADING_TEST_MARKET_DATA")
    return folder


@pytest.fixture
def minutes() -> pl.DataFrame:
    """Three sessions and a holiday of one Symbol: winter evenings included, in the order they came."""
    stamps = [
        dt.datetime(2023, 11, 22, 14, 30, tzinfo=dt.UTC),  # Wednesday, first regular minute
        dt.datetime(2023, 11, 22, 14, 31, tzinfo=dt.UTC),
        dt.datetime(2023, 11, 23, 0, 30, tzinfo=dt.UTC),  # Wednesday 19:30 New York
        dt.datetime(2023, 11, 23, 15, 0, tzinfo=dt.UTC),  # Thanksgiving
        dt.datetime(2023, 11, 24, 14, 30, tzinfo=dt.UTC),
        dt.datetime(2023, 11, 27, 14, 30, tzinfo=dt.UTC),
    ]
    return pl.DataFrame(
        {
            "Timestamp": pl.Series(stamps, dtype=pl.Datetime("us", "UTC")),
            "Open": [10.0, 10.1, 10.2, 10.3, 10.4, 10.5],
            "High": [10.5] * 5 + [10.6],
            "Low": [9.5] * 6,
            "Close": [10.1, 10.2, 10.3, 10.4, 10.5, 10.6],
            "Volume": [1, 2, 3, 4, 5, 6],
        }
    )
