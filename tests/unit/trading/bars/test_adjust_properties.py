"""Adjusted views never know what comes later, and passes over many sessions equal one view a session."""

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from trading.bars.adjust import adjust
from trading.bars.as_of import as_of_passes, compute_as_of
from trading.contracts import PRICES, bar_rules
from trading.corporate_actions import ACTION_COLUMNS, collect_actions, in_force_from, no_actions
from trading.errors import ContractViolation
from trading.strategies.adjusted_levels import adjust_levels

FIRST = dt.date(2014, 6, 2)
DAYS = [FIRST + dt.timedelta(days=n) for n in range(8)]
SYMBOLS = ("AAA", "BBB", "CCC")
PRICE = st.integers(5_000, 10_000).map(lambda cents: cents / 100)
GRID = pl.DataFrame(
    [
        (symbol, dt.datetime.combine(day, dt.time(hour), dt.UTC))
        for symbol in SYMBOLS
        for day in DAYS
        for hour in (14, 15)
    ],
    schema={"Symbol": pl.String, "Timestamp": pl.Datetime("us", "UTC")},
    orient="row",
)
some = settings(max_examples=25, deadline=None)


@st.composite
def tables_of_actions(draw: st.DrawFn, kinds: tuple[str, ...] = ("split", "dividend", "new_security")) -> pl.DataFrame:
    keys = st.tuples(st.sampled_from(SYMBOLS), st.integers(-2, 10), st.sampled_from(kinds))
    rows: list[dict[str, Any]] = []
    for symbol, day, kind in draw(st.lists(keys, unique=True, max_size=8)):
        known = draw(st.none() | st.integers(-4, 12))
        rows.append(
            {
                "Symbol": symbol,
                "ex_date": FIRST + dt.timedelta(days=day),
                "kind": kind,
                "ratio": draw(st.sampled_from([7.0, 2.0, 1.5, 0.05, 0.1, 2 / 3])) if kind == "split" else None,
                "amount": draw(st.sampled_from([0.25, 1.0, 4.5])) if kind == "dividend" else None,
                "currency": "USD" if kind == "dividend" else None,
                "announced": None if known is None else FIRST + dt.timedelta(days=known),
                "source": "drawn",
            }
        )
    return collect_actions([pl.DataFrame(rows, schema=dict(ACTION_COLUMNS), orient="row")])


@st.composite
def bars(draw: st.DrawFn) -> pl.DataFrame:
    """Two bars of each Symbol and day, some of them missing."""
    drawn = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frame = GRID.filter(pl.Series(drawn.random(GRID.height) < draw(st.sampled_from([0.3, 0.8, 1.0]))))
    low, opened, close, high = np.sort(drawn.integers(5_000, 10_000, (frame.height, 4)), axis=1).T / 100
    return frame.select(
        "Symbol",
        "Timestamp",
        Open=pl.Series(opened),
        High=pl.Series(high),
        Low=pl.Series(low),
        Close=pl.Series(close),
        Volume=pl.Series(drawn.integers(0, 1_000, frame.height)),
        session=pl.col("Timestamp").dt.date(),
    )


AS_OF = st.sampled_from(DAYS)


@some
@given(bars(), tables_of_actions(), AS_OF, st.booleans())
def test_nothing_known_later_changes_a_view(
    raw: pl.DataFrame, actions: pl.DataFrame, as_of: dt.date, dividends: bool
) -> None:
    view = adjust(raw, actions, as_of, dividends=dividends)
    by_then = actions.filter(in_force_from() <= as_of)
    assert_frame_equal(adjust(raw, by_then, as_of, dividends=dividends), view, check_exact=True)
    up_to = pl.col("session") <= as_of
    assert_frame_equal(
        adjust(raw.filter(up_to), actions, as_of, dividends=dividends), view.filter(up_to), check_exact=True
    )


@some
@given(bars(), tables_of_actions(), AS_OF, st.booleans())
def test_the_own_session_of_a_view_is_raw_and_bars_stay_bars(
    raw: pl.DataFrame, actions: pl.DataFrame, as_of: dt.date, dividends: bool
) -> None:
    before = raw.clone()
    view = adjust(raw, actions, as_of, dividends=dividends)
    own = pl.col("session") >= as_of
    assert_frame_equal(view.filter(own), raw.filter(own), check_exact=True)
    assert view.schema == raw.schema
    for rule in bar_rules():
        assert view.select(rule.holds.all()).item()
    assert_frame_equal(raw, before, check_exact=True)


@some
@given(st.lists(PRICE, min_size=8, max_size=8), tables_of_actions(kinds=("split",)))
def test_a_series_through_splits_comes_back_as_it_was_worth(worth: list[float], actions: pl.DataFrame) -> None:
    splits = actions.with_columns(pl.lit(None, pl.Date).alias("announced")).filter(Symbol="AAA")
    as_of = DAYS[-1]
    shares = [
        splits.filter((pl.col("ex_date") > day) & (pl.col("ex_date") <= as_of))["ratio"].product() for day in DAYS
    ]
    traded = [value * ratio for value, ratio in zip(worth, shares, strict=True)]
    raw = pl.DataFrame(
        {
            "Symbol": ["AAA"] * 8,
            "Timestamp": pl.Series([dt.datetime.combine(day, dt.time(14), dt.UTC) for day in DAYS]),
            **dict.fromkeys(PRICES, traded),
            "Volume": [100] * 8,
            "session": DAYS,
        }
    )
    view = adjust(raw, splits, as_of)
    assert view["Close"].to_list() == pytest.approx(worth, rel=1e-12)


@some
@given(bars(), tables_of_actions(), st.sets(AS_OF, min_size=1), st.booleans())
def test_passes_equal_one_view_a_session_and_cover_each_once(
    raw: pl.DataFrame, actions: pl.DataFrame, sessions: set[dt.date], dividends: bool
) -> None:
    wanted = []
    for part in as_of_passes(raw, actions, sessions, dividends=dividends):
        assert part.bars.select(pl.struct("Symbol", "Timestamp").is_duplicated().any()).item() is not True
        for symbol, session in part.wanted.rows():
            mine = (pl.col("Symbol") == symbol) & (pl.col("session") <= session)
            naive = adjust(raw.filter(pl.col("session") <= session), actions, session, dividends=dividends)
            assert_frame_equal(part.bars.filter(mine), naive.filter(mine), check_exact=True)
            wanted.append((symbol, session))
    expected = raw.filter(pl.col("session").is_in(list(sessions))).select("Symbol", "session").unique()
    assert sorted(wanted) == sorted(expected.rows())


def mean_of_three(frame: pl.DataFrame) -> pl.DataFrame:
    """What a strategy would compute: the mean close of this bar and the two before it."""
    mean = pl.col("Close").rolling_mean(3, min_samples=1).over("Symbol")
    return frame.select("Symbol", "Timestamp", mean=mean)


@some
@given(bars(), tables_of_actions(), st.sets(AS_OF, min_size=1), st.sampled_from([2, 5, None]))
def test_computing_as_of_each_session_equals_doing_it_session_by_session(
    raw: pl.DataFrame, actions: pl.DataFrame, sessions: set[dt.date], warmup: int | None
) -> None:
    got = compute_as_of(mean_of_three, raw, actions, sessions, warmup=warmup)
    naive = [
        mean_of_three(adjust(raw, actions, day)).join(
            raw.filter(pl.col("session") == day).select("Symbol", "Timestamp", "session"), on=["Symbol", "Timestamp"]
        )
        for day in sessions
    ]
    assert_frame_equal(got, pl.concat(naive).sort("Symbol", "Timestamp"), rel_tol=1e-12)


@some
@given(bars(), tables_of_actions(), AS_OF, st.booleans())
def test_levels_follow_the_bars_they_were_read_from(
    raw: pl.DataFrame, actions: pl.DataFrame, as_of: dt.date, dividends: bool
) -> None:
    earlier = raw.filter(pl.col("session") <= as_of)
    signals = earlier.select(
        "Symbol", "Timestamp", long_entry="High", sl_long="Low", tp_long=pl.lit(None, pl.Float64), made="session"
    )
    closes = earlier.group_by("Symbol", "session").agg(pl.col("Close").last())
    got = adjust_levels(signals, actions, "made", as_of, dividends=dividends, closes=closes)
    view = adjust(earlier, actions, as_of, dividends=dividends)
    assert_frame_equal(
        got,
        view.select(
            "Symbol", "Timestamp", long_entry="High", sl_long="Low", tp_long=pl.lit(None, pl.Float64), made="session"
        ),
        check_exact=True,
    )


def test_few_passes_with_just_the_warm_up_asked_for() -> None:
    """One bar a day; AAA splits twice, BBB once and on another day, CCC never."""
    daily = GRID.filter(pl.col("Timestamp").dt.hour() == 14).with_columns(
        *(pl.lit(100.0).alias(name) for name in PRICES),
        Volume=pl.lit(10, pl.Int64),
        session=pl.col("Timestamp").dt.date(),
    )
    splits = [("AAA", 3, 2.0), ("AAA", 6, 4.0), ("BBB", 5, 5.0)]
    rows = [(symbol, DAYS[day], "split", ratio, None, None, None, "drawn") for symbol, day, ratio in splits]
    actions = pl.DataFrame(rows, schema=dict(ACTION_COLUMNS), orient="row")
    passes = list(as_of_passes(daily, actions, DAYS[2:], warmup=2))
    closes = [
        {symbol: frame["Close"].to_list() for (symbol,), frame in part.bars.group_by("Symbol", maintain_order=True)}
        for part in passes
    ]
    assert closes == [
        {"AAA": [100.0] * 3, "BBB": [100.0] * 5, "CCC": [100.0] * 8},
        {"AAA": [50.0, 50.0, 100.0, 100.0, 100.0], "BBB": [20.0, 20.0, 100.0, 100.0, 100.0]},
        {"AAA": [25.0, 25.0, 100.0, 100.0]},
    ]


def test_bars_out_of_order_are_refused() -> None:
    """Rows of one Symbol and session in two places would be wanted twice."""
    frame = GRID.with_columns(session=pl.col("Timestamp").dt.date())
    with pytest.raises(ContractViolation, match="sorted by Symbol, Timestamp"):
        next(as_of_passes(pl.concat([frame.tail(3), frame]), no_actions(), DAYS))
