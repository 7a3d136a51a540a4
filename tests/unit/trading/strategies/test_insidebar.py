"""insidebar_intraday and insidebar_breakout against answers worked by hand and a second implementation."""

import datetime as dt
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading.contracts import validate
from trading.errors import ConfigError, ContractViolation
from trading.instruments import Instrument
from trading.strategies import LEVELS, get_strategy
from trading.strategies.api import with_session

CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "two": {"max_setups_per_window": 2},
    "windows": {"session_windows": [["15:30", "15:45"], ["15:45", "17:00"]]},
    "strict": {"strict": True},
    "inside_entry": {"entry_level": "inside_bar", "max_setups_per_window": 2},
    "capped": {"max_stop_ticks": 20, "risk_reward": 1.5},
    "coarse_tick": {"max_stop_ticks": 20},
    "filtered": {"min_mother_atr": 1.0},
}


@pytest.mark.parametrize("case", CASES)
def test_intraday_answers_worked_by_hand(frames, case):
    tick = 0.5 if case == "coarse_tick" else 0.01
    found = get_strategy("insidebar_intraday").signals(
        frames.answer_bars("intraday"),
        {"atr_period": 2, **CASES[case]},
        {"AA": Instrument(symbol="AA", tick_size=tick)},
    )
    expected = frames.answer_signals("intraday", case)
    assert_frame_equal(found, expected, abs_tol=1e-9)
    # levels are the decimals themselves, free of float noise: nothing but them stays on the tick grid
    assert found.select(LEVELS).rows() == expected.select(LEVELS).rows()


def test_daily_answers_worked_by_hand(frames):
    found = get_strategy("insidebar_breakout").signals(frames.answer_bars("daily"), {"atr_period": 1})
    assert_frame_equal(found, frames.answer_signals("daily", "default"), abs_tol=1e-9)


def test_daily_neighbours_are_those_of_the_instruments_calendar(frames):
    # Friday to Tuesday over a New York holiday: on the London calendar a session lies between them
    london = {"AA": Instrument(symbol="AA", calendar="XLON")}
    found = get_strategy("insidebar_breakout").signals(frames.answer_bars("daily"), {"atr_period": 1}, london)
    assert found["Timestamp"].dt.date().to_list() == [dt.date(2024, 1, 12), dt.date(2024, 1, 19)]


PARAMS = [
    {},
    {"atr_period": 3, "strict": True, "risk_reward": 1.5},
    {"atr_period": 5, "entry_level": "inside_bar", "min_mother_atr": 1.0, "max_setups_per_window": 3},
    {"atr_period": 1, "max_stop_ticks": 7, "max_setups_per_window": 100, "risk_reward": 0.7},
    {
        "session_windows": [["14:30", "15:30"], ["15:30", "18:05"], ["19:00", "24:00"]],
        "max_setups_per_window": 2,
        "entry_level": "inside_bar",
        "max_stop_ticks": 1,
    },
]


@pytest.mark.parametrize("params", PARAMS, ids=range(len(PARAMS)))
@pytest.mark.parametrize("daily", [False, True], ids=["intraday", "daily"])
def test_equals_the_rules_read_bar_by_bar(frames, reference, params, daily):
    if daily:
        params = {k: v for k, v in params.items() if k not in ("session_windows", "max_setups_per_window")}
        bars = frames.random_bars(["AA", "BB"], 250, minutes=None, missing=0.05, seed=3)
    else:
        # over the weeks in which New York and Berlin change their clocks
        bars = frames.random_bars(["AA", "BB"], 32, missing=0.03, seed=4)
    name = "insidebar_breakout" if daily else "insidebar_intraday"
    instruments = {s: Instrument(symbol=s, tick_size=0.05) for s in ("AA", "BB")}
    found = get_strategy(name).signals(bars, params, instruments)
    expected = reference.inside_bars(bars, params, daily=daily, tick=0.05)
    assert found.height > 10
    assert found.select("Symbol", "Timestamp").rows() == [(r["Symbol"], r["Timestamp"]) for r in expected]
    for level in LEVELS:
        assert found[level].to_list() == [r[level] for r in expected], level
    assert found["meta_atr"].to_list() == pytest.approx([float(r["atr"]) for r in expected], rel=1e-12)
    validate(found, "signals")


@pytest.mark.parametrize("name", ["insidebar_intraday", "insidebar_breakout", "marubozu_breakout"])
def test_session_by_session_equals_one_pass_to_the_bit(frames, name):
    daily = name == "insidebar_breakout"
    bars = frames.random_bars(["AA", "BB"], 250 if daily else 12, minutes=None if daily else 5, missing=0.05)
    strategy = get_strategy(name)
    given = {"atr_period": 14} if name.startswith("marubozu") else {"atr_period": 1, "min_mother_atr": 1.0}
    params = strategy.read_params(given)
    whole = strategy.signals(bars, params)
    parts = []
    for session in bars["session"].unique().sort():
        own = bars.filter(pl.col("session") == session)
        earlier = (
            bars.filter(pl.col("session") < session)
            .group_by("Symbol", maintain_order=True)
            .tail(strategy.warmup(params))
        )
        given = pl.concat([earlier.select(own.columns), own]).sort("Symbol", "Timestamp")
        stamps = own["Timestamp"].unique().implode()
        parts.append(strategy.signals(given, params).filter(pl.col("Timestamp").is_in(stamps)))
    assert whole.height > 3
    assert pl.concat(parts).sort("Symbol", "Timestamp").equals(whole)


@pytest.mark.parametrize(
    ("first", "change", "hours"),
    [
        # 14:30 UTC is 15:30 in Berlin until the last Sunday of March, then 13:30 is; New York had moved on 10 March
        (dt.date(2024, 3, 11), dt.date(2024, 3, 31), (14, 13)),
        # back on the last Sunday of October, a week before New York
        (dt.date(2024, 10, 7), dt.date(2024, 10, 27), (13, 14)),
    ],
)
def test_windows_are_local_times_on_either_side_of_a_clock_change(frames, first, change, hours):
    bars = frames.random_bars(["AA"], 25, seed=8, first=first)
    found = get_strategy("insidebar_intraday").signals(
        bars, {"session_windows": [["15:30", "16:00"]], "max_setups_per_window": 9}
    )
    days, utc = pl.col("Timestamp").dt.date(), pl.col("Timestamp").dt.hour()
    for part, hour in ((found.filter(days < change), hours[0]), (found.filter(days > change), hours[1])):
        assert part.height > 5
        assert set(part.select(utc).to_series()) == {hour}


def test_a_setup_without_range_does_not_use_up_the_window(frames):
    flat = {"Open": 10.0, "High": 10.0, "Low": 10.0, "Close": 10.0}
    wide = {"Open": 10.0, "High": 11.0, "Low": 9.0, "Close": 10.0}
    start = dt.datetime(2024, 1, 3, 14, 30, tzinfo=dt.UTC)
    rows = [
        {"Symbol": "AA", "Timestamp": start + dt.timedelta(minutes=5 * i), **bar, "Volume": 1}
        for i, bar in enumerate([flat, flat, flat, wide, flat])
    ]
    bars = pl.DataFrame(rows).with_columns(
        pl.col("Timestamp").dt.cast_time_unit("us"), session=pl.lit(dt.date(2024, 1, 3))
    )
    found = get_strategy("insidebar_intraday").signals(bars, {"atr_period": 1})
    assert found["Timestamp"].to_list() == [start + dt.timedelta(minutes=20)]


@pytest.mark.parametrize("name", ["insidebar_intraday", "insidebar_breakout", "marubozu_breakout"])
def test_no_bars_give_an_empty_frame_that_keeps_the_contract(frames, name):
    params = {"max_stop_ticks": 3} if name.startswith("inside") else {}
    bars = frames.random_bars(["AA"], 2)
    found = get_strategy(name).signals(bars.clear(), params)
    assert found.is_empty()
    assert found.schema == get_strategy(name).signals(bars, params).schema
    validate(found, "signals")


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"risk_reward": 0}, "risk_reward: .*greater than 0.*found 0"),
        ({"atr": 3}, "atr is unknown; the parameters are .*strict, atr_period"),
        ({"entry_level": "close"}, "entry_level: .*'mother_bar' or 'inside_bar'"),
        ({"max_stop_ticks": 0}, "max_stop_ticks: .*greater than or equal to 1"),
        ({"session_windows": []}, "leave it null"),
        ({"session_windows": [["16:00", "15:00"]]}, "must end after it starts"),
        ({"session_windows": [["15:00", "16:00"], ["15:30", "17:00"]]}, "ascend and not overlap"),
        ({"session_windows": [["9:00", "16:00"]]}, "'9:00' is no time of day; it must be like '15:30'"),
        ({"session_zone": "Mars/Base"}, "'Mars/Base' is no IANA time zone"),
        ({"risk_reward": float("nan")}, "risk_reward"),
    ],
)
def test_wrong_parameters_are_named(frames, params, says):
    with pytest.raises(ConfigError, match=says):
        get_strategy("insidebar_intraday").signals(frames.random_bars(["AA"], 1), params)


def test_wrong_bars_are_refused(frames):
    strategy = get_strategy("insidebar_intraday")
    bars = frames.random_bars(["AA"], 1)
    with pytest.raises(ContractViolation, match="'timestamp' must be spelled 'Timestamp'"):
        strategy.signals(bars.rename({"Timestamp": "timestamp"}))
    with pytest.raises(ContractViolation, match="Datetime"):
        strategy.signals(bars.with_columns(pl.col("Timestamp").dt.replace_time_zone(None)))
    with pytest.raises(ContractViolation, match="sorted_unique"):
        strategy.signals(bars.reverse())
    with pytest.raises(ContractViolation, match="sorted_unique"):
        strategy.signals(pl.concat([bars, bars.tail(1)]))


@pytest.mark.parametrize("name", ["insidebar_intraday", "marubozu_breakout"])
def test_bars_without_a_session_have_that_of_their_calendar(frames, name):
    bars = frames.random_bars(["AA", "BB"], 4)
    strategy = get_strategy(name)
    assert strategy.signals(bars.drop("session")).equals(strategy.signals(bars))


def test_the_session_is_that_of_each_symbols_own_calendar(frames):
    # 14:30 UTC lies in the sessions of both exchanges; on 15 January only London trades
    bars = frames.answer_bars("daily").drop("session")
    london = bars.with_columns(Symbol=pl.lit("BB"), Timestamp=pl.col("Timestamp") + pl.duration(days=1))
    both = pl.concat([bars, london.filter(pl.col("Timestamp").dt.weekday() < 6)])
    instruments = {"BB": Instrument(symbol="BB", calendar="XLON")}
    found = with_session(both, instruments)
    assert found["session"].to_list() == both["Timestamp"].dt.date().to_list()
    holiday = bars.head(1).with_columns(Timestamp=dt.datetime(2024, 1, 15, 14, 30, tzinfo=dt.UTC))
    holiday = holiday.with_columns(pl.col("Timestamp").dt.cast_time_unit("us"))
    assert with_session(holiday.with_columns(Symbol=pl.lit("BB")), instruments)["session"].to_list() == [
        dt.date(2024, 1, 15)
    ]
    with pytest.raises(
        ContractViolation, match=r"outside_session .*lies in no session of XNYS; give the column session"
    ):
        get_strategy("insidebar_breakout").signals(holiday)


def test_midnight_is_no_session(frames):
    """A date that was made a timestamp would silently count as the day before in New York."""
    bars = frames.answer_bars("daily").drop("session").with_columns(pl.col("Timestamp").dt.truncate("1d"))
    with pytest.raises(ContractViolation, match="outside_session"):
        get_strategy("insidebar_breakout").signals(bars)


def test_a_session_of_another_spelling_is_refused(frames):
    bars = frames.random_bars(["AA"], 1).rename({"session": "Session"})
    with pytest.raises(ContractViolation, match="'Session' must be spelled 'session'"):
        get_strategy("insidebar_intraday").signals(bars)
