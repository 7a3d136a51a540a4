"""Reading in compiled passes: what it takes and refuses is what the contracts say, however the frames lie in memory."""

import datetime as dt
import random

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading.errors import ContractViolation
from trading.instruments import Instrument
from trading.replay import market as reading
from trading.replay import replay
from trading.replay.contracts import BARS, LEVELS, refuse_bars, refuse_signals
from trading.replay.market import read_bars, read_signals, sessions_of
from trading.ticks import round_levels


def put(frame, row, name, value):
    picked = pl.int_range(pl.len()) == row
    return frame.with_columns(pl.when(picked).then(pl.lit(value, frame.schema[name])).otherwise(name).alias(name))


def told(refuse, *args):
    """The rule that the slow checks name; None = they find nothing."""
    try:
        refuse(*args)
    except ContractViolation as refused:
        return refused.rule
    except AssertionError:
        return None


def refused(read, *args):
    try:
        read(*args)
    except ContractViolation as violation:
        return violation.rule
    return None


def test_bars_are_refused_exactly_where_the_contract_says(oracle, monkeypatch):
    rng = random.Random(1)
    rules = set()
    for seed in range(150):
        monkeypatch.setattr(reading, "parts_of", lambda _, seed=seed: 1 + seed % 3)
        bars, _, _, _ = oracle.frames(oracle.random_case(seed))
        if bars.height < 2:
            continue
        row = rng.randrange(bars.height)
        name = rng.choice(["Symbol", "Timestamp", "Open", "High", "Low", "Close", "Volume", "session"])
        old = bars[name][row]
        value = {
            "Symbol": lambda: rng.choice(["A", "ZZ", ""]),
            "Timestamp": lambda old=old: old + dt.timedelta(minutes=rng.choice([-1, 1, -600, 600])),
            "Volume": lambda: rng.choice([-1, 0, 2**62]),
            "session": lambda old=old: old + dt.timedelta(days=rng.choice([-3, 3])),
        }.get(name, lambda old=old: rng.choice([float("nan"), float("inf"), 0.0, -1.0, old * 2, old / 2, old]))()
        changed = put(bars, row, name, value)
        expected = told(refuse_bars, changed, "replay.bars")
        assert refused(read_bars, changed) == expected, f"seed {seed}: {name} of row {row} is {value}"
        rules.add(expected)
    assert rules == {None, "price", "ohlc_bounds", "volume", "order", "duplicate", "session_order"}


def test_signals_are_refused_exactly_where_the_contract_says(oracle, monkeypatch):
    rng = random.Random(2)
    rules = set()
    for seed in range(300):
        monkeypatch.setattr(reading, "parts_of", lambda _, seed=seed: 1 + seed % 3)
        bars, signals, _, instruments = oracle.frames(oracle.random_case(seed))
        if not signals.height:
            continue
        read = read_bars(bars)
        known = [instruments[symbol] for symbol in read.symbols]
        row, name = rng.randrange(signals.height), rng.choice([*LEVELS, "Timestamp", "Symbol"])
        old = signals[name][row]
        if name == "Timestamp":
            value = rng.choice([*signals["Timestamp"], old + dt.timedelta(seconds=1)])
        elif name == "Symbol":
            value = rng.choice([*signals["Symbol"], "unheard of", None])
        else:
            value = rng.choice([None, float("nan"), float("-inf"), 0.0, 1e-9, (old or 1.0) * 1.5, (old or 1.0) / 1.5])
        changed = put(signals, row, name, value)
        places = read.symbols, read.start, read.ts
        expected = told(refuse_signals, changed, (), places, known, "replay.signals")
        assert refused(read_signals, changed, read, known) == expected, f"seed {seed}: {name} of row {row} is {value}"
        rules.add(expected)
    assert rules >= {None, "null", "finite", "incomplete_side", "stop_side", "target_side", "duplicate", "no_bar"}


def test_the_rows_shown_are_those_of_the_frame_given(oracle):
    bars, signals, _, instruments = oracle.frames(oracle.random_case(6))
    read = read_bars(bars)
    backwards = put(signals.reverse(), 0, "Timestamp", dt.datetime(1999, 1, 1, tzinfo=dt.UTC))
    with pytest.raises(ContractViolation, match="1 offending row") as caught:
        read_signals(backwards, read, [instruments[symbol] for symbol in read.symbols])
    assert caught.value.rule == "no_bar"
    assert "│ 0 " in caught.value.details
    assert "1999-01-01" in caught.value.details


@pytest.mark.parametrize("prefix", ["", "ES_CONTINUOUS_FRONT_"])
def test_frames_in_pieces_and_slices_and_long_symbols(oracle, prefix):
    """Arrow views hold up to 12 bytes of a string; longer ones differ where strings are the same."""
    for seed in (6, 17, 41):
        bars, signals, config, instruments = oracle.frames(oracle.random_case(seed))
        plain = replay(bars, signals, config, instruments).trades
        named = {prefix + s: i.model_copy(update={"symbol": prefix + s}) for s, i in instruments.items()}
        bars, signals, wanted = (
            frame.with_columns(Symbol=pl.lit(prefix) + pl.col("Symbol")) for frame in (bars, signals, plain)
        )
        pieces = pl.concat([bars[i : i + 3] for i in range(0, bars.height, 3)], rechunk=False)
        assert pieces.n_chunks() > 1
        padded = pl.concat([bars[:1], bars, bars[:1]]).rechunk()[1:-1]
        for frame in (bars, pieces, padded):
            assert_frame_equal(replay(frame, signals, config, named).trades, wanted)


def test_more_runs_of_long_symbols_than_boundaries_are_kept(oracle):
    """Every row's view of a long string is another one: beyond 65,536 of them the strings are compared."""
    n = 70_000
    bars = pl.DataFrame(
        {
            "Symbol": [f"A_VERY_LONG_SYMBOL_{i // 35_000}" for i in range(n)],
            "Timestamp": pl.Series([60_000_000 * (i % 35_000) for i in range(n)]).cast(pl.Datetime("us", "UTC")),
            **{name: [100.0] * n for name in ("Open", "High", "Low", "Close")},
            "Volume": [1] * n,
            "session": pl.Series([0] * n, dtype=pl.Int32).cast(pl.Date),
        },
        schema=BARS,
    )
    read = read_bars(bars)
    assert read.symbols == ["A_VERY_LONG_SYMBOL_0", "A_VERY_LONG_SYMBOL_1"]
    assert read.start.tolist() == [0, 35_000, 70_000]


def test_timestamps_and_sessions_of_symbols_that_differ(oracle):
    for seed in range(60):
        bars, _, _, _ = oracle.frames(oracle.random_case(seed))
        read = read_bars(bars)
        market = read.market
        distinct = bars["Timestamp"].to_physical().unique().sort().to_numpy()
        assert np.array_equal(market.grid, distinct)
        for s, (begin, end) in enumerate(zip(read.start[:-1], read.start[1:], strict=True)):
            places = np.arange(begin, end) + read.shift[s]
            steps = market.step[places] if len(market.step) else places
            assert np.array_equal(market.grid[steps], read.ts[begin:end]), f"seed {seed}"
            lasts = market.session_last[read.session_first[s] : read.session_first[s + 1]]
            wanted = [i for i in range(begin, end) if i == end - 1 or read.days[i] != read.days[i + 1]]
            assert lasts.tolist() == wanted, f"seed {seed}"
        sessions, ends = sessions_of(read)
        latest = bars.group_by("session").agg(pl.col("Timestamp").max().to_physical()).sort("session")
        assert sessions.to_list() == latest["session"].to_list()
        assert market.grid[ends].tolist() == latest["Timestamp"].to_list()


@pytest.mark.parametrize("tick", [0.01, 0.05, 0.25, 0.125, 0.1, 1.0, 0.0001, 5.0, 1 / 3, 1e-13])
def test_levels_are_rounded_as_the_ticks_say(tick):
    rng = np.random.default_rng(3)
    n = 400
    entry = np.round(rng.uniform(20, 500, n), 4) + rng.choice([0.0, 1e-13, tick / 3], n)
    entry[:20] = 10.0 ** rng.integers(2, 15, 20) + 0.1
    levels = {
        "long_entry": entry, "sl_long": entry - 7.3 * tick - 1.0, "tp_long": entry + 7.3 * tick + 1.0,
        "short_entry": entry, "sl_short": entry + 7.3 * tick + 1.0, "tp_short": entry - 7.3 * tick - 1.0,
    }  # fmt: skip
    times = pl.Series(np.arange(n) * 60_000_000).cast(pl.Datetime("us", "UTC"))
    bars = pl.DataFrame(
        {
            "Symbol": ["A"] * n,
            "Timestamp": times,
            **{name: [100.0] * n for name in ("Open", "High", "Low", "Close")},
            "Volume": [1] * n,
            "session": pl.Series([0] * n, dtype=pl.Int32).cast(pl.Date),
        },
        schema=BARS,
    )
    signals = pl.DataFrame({"Symbol": ["A"] * n, "Timestamp": times, **levels})
    got = read_signals(signals, read_bars(bars), [Instrument(symbol="A", tick_size=tick)])
    for i, name in enumerate(LEVELS):
        up = name in ("long_entry", "tp_long", "sl_short")
        assert np.array_equal(got.levels[:, i], round_levels(levels[name], tick, "up" if up else "down")), name


@pytest.mark.parametrize(
    ("name", "value", "rule"), [("Low", 0.0, "price"), ("session", dt.date(1969, 1, 1), "session_order")]
)
def test_many_bars_are_checked_on_two_threads(name, value, rule):
    n = 300_000
    bars = pl.DataFrame(
        {
            "Symbol": ["A"] * n,
            "Timestamp": pl.Series(np.arange(n) * 60_000_000).cast(pl.Datetime("us", "UTC")),
            **{price: [100.0] * n for price in ("Open", "High", "Low", "Close")},
            "Volume": [1] * n,
            "session": pl.Series([0] * n, dtype=pl.Int32).cast(pl.Date),
        },
        schema=BARS,
    )
    assert len(read_bars(bars).ts) == n
    with pytest.raises(ContractViolation) as refused:
        read_bars(put(bars, n - 1, name, value))
    assert refused.value.rule == rule
