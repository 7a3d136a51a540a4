"""Minutes by formula, so that answers can be worked by hand, and the real ones where they are at hand."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trading.sessions import get_calendar

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="session")
def answers() -> Path:
    return ROOT / "tests" / "answers"


@pytest.fixture(scope="session")
def market_data() -> Path:
    folder = Path(os.environ.get("TRADING_TEST_MARKET_DATA") or ROOT.parent / "shared" / "market_data")
    if not (folder / "m1").is_dir():
        pytest.skip(f"no real minutes in {folder}; set TRADING_TEST_MARKET_DATA")
    return folder


def ramp(session: object, minutes: Iterable[int], calendar: str = "XNYS", symbol: str = "AAA") -> pl.DataFrame:
    """Minute i: Open 10.00 + i cents, Close a cent above it, High 3 above, Low 1 below, Volume |i| + 1."""
    start = get_calendar(calendar).open(session)  # type: ignore[arg-type]
    i = np.array(list(minutes), dtype=np.int64)
    return pl.DataFrame(
        {
            "Symbol": pl.repeat(symbol, len(i), dtype=pl.String, eager=True),
            "Timestamp": pl.Series(np.int64(start.timestamp() * 1_000_000) + i * 60_000_000)
            .cast(pl.Datetime("us"))
            .dt.replace_time_zone("UTC"),
            "Open": (1000 + i) / 100,
            "High": (1003 + i) / 100,
            "Low": (999 + i) / 100,
            "Close": (1001 + i) / 100,
            "Volume": np.abs(i) + 1,
        }
    )


@pytest.fixture(scope="session")
def minutes_of() -> Callable[..., pl.DataFrame]:
    return ramp
