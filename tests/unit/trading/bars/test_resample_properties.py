"""What must hold for any minutes, whichever are missing."""

import datetime as dt

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from trading.bars import resample
from trading.sessions import get_calendar

DAYS = [dt.date(2023, 11, 3), dt.date(2023, 11, 6), dt.date(2023, 11, 22), dt.date(2023, 11, 24)]
TIMEFRAMES = ["1m", "5m", "7m", "15m", "1h", "210m", "1d"]


@st.composite
def minutes(draw: st.DrawFn) -> pl.DataFrame:
    """Random walks of one or two Symbols over some sessions, with an arbitrary share of minutes missing."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    share = draw(st.sampled_from([0.02, 0.5, 0.97, 1.0]))
    days = draw(st.lists(st.sampled_from(DAYS), min_size=1, max_size=3, unique=True))
    calendar, parts = get_calendar("XNYS"), []
    for symbol in ["AAA", "BBB"][: draw(st.integers(1, 2))]:
        for day in days:
            n = calendar.minutes(day)
            kept = np.flatnonzero(rng.random(n) < share)
            opened = 5000 + np.cumsum(rng.integers(-9, 10, n))[kept]
            closed = opened + rng.integers(-9, 10, len(kept))
            first = np.int64(calendar.open(day).timestamp() * 1_000_000)
            stamps = pl.Series(first + kept * 60_000_000).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
            parts.append(
                pl.DataFrame(
                    {
                        "Symbol": pl.repeat(symbol, len(kept), dtype=pl.String, eager=True),
                        "Timestamp": stamps,
                        "Open": opened / 100,
                        "High": (np.maximum(opened, closed) + rng.integers(0, 5, len(kept))) / 100,
                        "Low": (np.minimum(opened, closed) - rng.integers(0, 5, len(kept))) / 100,
                        "Close": closed / 100,
                        "Volume": rng.integers(0, 10**12, len(kept)),
                    }
                )
            )
    return pl.concat(parts)


def _reference(m1: pl.DataFrame, n: int | None) -> list[tuple[object, ...]]:
    """The rules minute by minute, in plain Python."""
    calendar = get_calendar("XNYS")
    bars: dict[tuple[str, dt.datetime], list[object]] = {}
    for symbol, stamp, o, h, low, c, v in m1.sort("Symbol", "Timestamp").iter_rows():
        day = stamp.date()
        start, total = calendar.open(day), calendar.minutes(day)
        since = int((stamp - start).total_seconds() // 60)
        k = 0 if n is None else since // n
        length = total if n is None else min(n, total - k * n)
        window = start if n is None else start + dt.timedelta(minutes=k * n)
        bar = bars.setdefault((symbol, window), [o, h, low, c, 0, day, 0, length])
        bar[1], bar[2], bar[3] = max(bar[1], h), min(bar[2], low), c  # type: ignore[type-var]
        bar[4], bar[6] = bar[4] + v, bar[6] + 1  # type: ignore[operator]
    return [(*key, *bar[:7], bar[6] == bar[7]) for key, bar in sorted(bars.items())]


@settings(max_examples=40, deadline=None)
@given(m1=minutes(), timeframe=st.sampled_from(TIMEFRAMES))
def test_equals_the_rules_minute_by_minute(m1: pl.DataFrame, timeframe: str) -> None:
    n = {"1h": 60, "1d": None}.get(timeframe, int(timeframe[:-1]))
    assert resample(m1, timeframe, policy="keep").rows() == _reference(m1, n)


@settings(max_examples=40, deadline=None)
@given(m1=minutes(), timeframe=st.sampled_from(TIMEFRAMES))
def test_volume_adds_up_and_no_minute_is_lost(m1: pl.DataFrame, timeframe: str) -> None:
    kept = resample(m1, timeframe, policy="keep")
    assert kept["Volume"].sum() == m1["Volume"].sum()
    assert kept["minutes"].sum() == m1.height
    complete = resample(m1, timeframe)
    assert_frame_equal(complete, kept.filter("complete"))


@settings(max_examples=40, deadline=None)
@given(m1=minutes(), timeframe=st.sampled_from(TIMEFRAMES))
def test_bars_stay_inside_their_session_and_bound_their_prices(m1: pl.DataFrame, timeframe: str) -> None:
    bars = resample(m1, timeframe, policy="keep")
    placed = get_calendar("XNYS").with_session(bars.drop("session"))
    assert placed["session"].to_list() == bars["session"].to_list()
    assert (bars["Low"] <= bars["Open"]).all()
    assert (bars["Low"] <= bars["Close"]).all()
    assert (bars["High"] >= bars["Open"]).all()
    assert (bars["High"] >= bars["Close"]).all()


@settings(max_examples=30, deadline=None)
@given(m1=minutes(), seed=st.integers(0, 1000))
def test_row_order_is_irrelevant(m1: pl.DataFrame, seed: int) -> None:
    shuffled = m1.sample(fraction=1.0, shuffle=True, seed=seed)
    assert_frame_equal(resample(shuffled, "5m", policy="keep"), resample(m1, "5m", policy="keep"))


@settings(max_examples=30, deadline=None)
@given(m1=minutes())
def test_five_minutes_fold_into_fifteen(m1: pl.DataFrame) -> None:
    """15 divides into 5s on any anchor, so M1 -> M5 -> M15 is M1 -> M15, volumes and flags included."""
    m5 = resample(m1, "5m", policy="keep")
    schedule = get_calendar("XNYS").frame(min(DAYS), max(DAYS)).select("session", "open")
    since = pl.col("Timestamp") - pl.col("open")
    folded = (
        m5.join(schedule, on="session")
        .sort("Symbol", "Timestamp")
        .with_columns(window=pl.col("open") + pl.duration(minutes=15) * (since.dt.total_minutes() // 15))
        .group_by("Symbol", "window", maintain_order=True)
        .agg(
            pl.col("Open").first(),
            pl.col("High").max(),
            pl.col("Low").min(),
            pl.col("Close").last(),
            pl.col("Volume").sum(),
            pl.col("session").first(),
            pl.col("minutes").sum(),
        )
        .rename({"window": "Timestamp"})
    )
    direct = resample(m1, "15m", policy="keep").drop("complete")
    assert_frame_equal(folded, direct, check_dtypes=False)


@settings(max_examples=40, deadline=None)
@given(m1=minutes(), steps=st.sampled_from([("5m", "15m"), ("5m", "1h"), ("7m", "210m"), ("15m", "1d")]))
def test_twice_is_once(m1: pl.DataFrame, steps: tuple[str, str]) -> None:
    """M1 to the longer bars, and M1 to shorter bars to the longer ones: the same, whichever minutes are missing."""
    shorter, longer = steps
    between = resample(m1, shorter, policy="keep")
    for policy in ("keep", "complete_only"):
        direct = resample(m1, longer, policy=policy)  # type: ignore[arg-type]
        twice = resample(between, longer, policy=policy, source_timeframe=shorter)  # type: ignore[arg-type]
        assert_frame_equal(twice, direct, check_exact=True)


@settings(max_examples=20, deadline=None)
@given(m1=minutes())
def test_twice_is_once_of_complete_bars_alone(m1: pl.DataFrame) -> None:
    """Where only complete M5 go on, the complete M15 are the same: an incomplete M5 never is in a complete M15."""
    twice = resample(resample(m1, "5m"), "15m", source_timeframe="5m")
    assert_frame_equal(twice, resample(m1, "15m"), check_exact=True)
