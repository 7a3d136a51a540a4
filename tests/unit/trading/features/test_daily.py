import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.errors import ContractViolation
from trading.features.daily import FeatureWindows, LookAheadError, daily_features
from trading.sessions import get_calendar

ANSWERS = Path(__file__).parents[3] / "answers" / "features"
SESSION = dt.date(2023, 11, 24)  # Friday after Thanksgiving: the session before is Wednesday the 22nd
BEFORE = get_calendar("XNYS").sessions(dt.date(2023, 10, 2), dt.date(2023, 11, 22))


def _answers(name: str) -> pl.DataFrame:
    return pl.read_csv(ANSWERS / name, comment_prefix="#", try_parse_dates=True)


def test_hand_worked_figures() -> None:
    """Windows of 3 sessions for range and volume, 2 for the change; the notes in the file show the arithmetic."""
    bars = _answers("daily_bars.csv").cast({"Volume": pl.Int64})
    found = daily_features(bars, ["AAA", "BBB", "CCC"], SESSION, FeatureWindows(atr=3, roc=2, volume=3))
    expected = _answers("daily_features.csv")
    assert found["Symbol"].to_list() == expected["Symbol"].to_list()
    for column in expected.columns[1:]:
        for symbol, ours, theirs in zip(found["Symbol"], found[column], expected[column], strict=True):
            assert ours == (None if theirs is None else pytest.approx(theirs, abs=1e-12)), (symbol, column)


def test_a_session_without_a_bar_leaves_its_windows_without_a_figure() -> None:
    bars = _answers("daily_bars.csv").cast({"Volume": pl.Int64})
    gone = bars.filter(pl.col("session") != dt.date(2023, 11, 21))
    row = daily_features(gone, ["AAA"], SESSION, FeatureWindows(atr=3, roc=3, volume=3)).row(0, named=True)
    assert (row["atr"], row["avg_volume"], row["avg_dollar_volume"]) == (None, None, None)
    assert row["last_close"] is not None and row["roc"] is not None  # their two sessions have bars


def test_the_session_itself_is_refused() -> None:
    bars = _answers("daily_bars.csv").cast({"Volume": pl.Int64}).with_columns(session=pl.lit(SESSION))
    with pytest.raises(LookAheadError, match="only earlier sessions"):
        daily_features(bars.head(1), ["AAA"], SESSION)


def test_the_column_that_is_missing_is_named() -> None:
    bars = _answers("daily_bars.csv").cast({"Volume": pl.Int64})
    with pytest.raises(ContractViolation, match="High"):
        daily_features(bars.drop("High"), ["AAA"], SESSION)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.floats(1, 1000), st.integers(0, 10**9)), min_size=22, max_size=len(BEFORE)),
    st.integers(1, 14),
    st.randoms(),
)
def test_only_the_windows_count_and_the_order_does_not(rows: list[tuple[float, int]], atr: int, random: object) -> None:
    """Whatever lies further back than the reach changes no figure but the count of bars, and rows come in any order."""
    windows = FeatureWindows(atr=atr, roc=5, volume=9)
    days = BEFORE[-len(rows) :]
    closes, volumes = [close for close, _ in rows], [volume for _, volume in rows]
    bars = pl.DataFrame(
        {
            "Symbol": "A",
            "High": [close * 1.01 for close in closes],
            "Low": [close * 0.99 for close in closes],
            "Close": closes,
            "Volume": volumes,
            "session": days,
        }
    )
    whole = daily_features(bars, ["A"], SESSION, windows)
    shuffled = bars.sample(fraction=1.0, shuffle=True, seed=random.getrandbits(32))  # type: ignore[attr-defined]
    assert daily_features(shuffled, ["A"], SESSION, windows).equals(whole)
    reached = daily_features(bars.tail(windows.reach), ["A"], SESSION, windows)
    assert reached.drop("history").equals(whole.drop("history"))
