"""What is looked up ahead of a run, on threads, changes nothing; and it is looked up."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading.instruments import Instrument
from trading.replay import ReplayConfig, engine, market, replay
from trading.replay.engine import Run, new_curve
from trading.replay.fill_order import FILL_ORDERS
from trading.replay.lookahead import look_ahead
from trading.replay.machine import Machine, new_log, new_queue
from trading.replay.market import read_bars, read_signals
from trading.replay.state import A_LONG_ROW, FLAT, PENDING, T_EXIT_TIME, UNKNOWN

MINUTE, DAY = 60_000_000, 86_400_000_000


@pytest.mark.parametrize("block", range(3))
def test_on_three_threads_all_is_as_on_one(oracle, monkeypatch, block):
    for seed in range(5000 + block * 50, 5050 + block * 50):
        case = oracle.frames(oracle.random_case(seed))
        for parts in (1, 3):
            for module in (engine, market):
                monkeypatch.setattr(module, "parts_of", lambda _, parts=parts: parts)
            done = replay(*case, fill_order=FILL_ORDERS[seed % 3])
            if parts == 1:
                alone = done
        for name in ("trades", "fills", "rejected", "equity"):
            assert_frame_equal(getattr(done, name), getattr(alone, name), check_exact=True)
        assert done.metrics == alone.metrics, f"seed {seed}"


def frames(symbol, days, signals):
    """Bars of (Open, High, Low, Close), a list a session; signals of (row, long entry, sl, tp, short entry, sl, tp)."""
    rows = [(day * DAY + i * MINUTE, day, *bar) for day, bars in enumerate(days) for i, bar in enumerate(bars)]
    times = pl.Series([row[0] for row in rows], dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    bars = pl.DataFrame(
        {
            "Symbol": [symbol] * len(rows),
            "Timestamp": times,
            **{name: [row[2 + i] for row in rows] for i, name in enumerate(("Open", "High", "Low", "Close"))},
            "Volume": [1] * len(rows),
            "session": pl.Series([row[1] for row in rows], dtype=pl.Int32).cast(pl.Date),
        },
        schema_overrides=dict.fromkeys(("Open", "High", "Low", "Close"), pl.Float64),
    )
    levels = ("long_entry", "sl_long", "tp_long", "short_entry", "sl_short", "tp_short")
    given = pl.DataFrame(
        {
            "Symbol": [symbol] * len(signals),
            "Timestamp": times.gather([row for row, *_ in signals]),
            **{name: [signal[1 + i] for signal in signals] for i, name in enumerate(levels)},
        },
        schema_overrides=dict.fromkeys(levels, pl.Float64),
    )
    return bars, given


QUIET = (100, 101, 99, 100)
UP = (100, 110, 99, 109)
DOWN = (100, 101, 90, 91)
BOTH = (100, 110, 90, 100)
BRACKET = (105, 95, None, 96, 104, None)
TIGHT = (105, 99.5, None, 96, 104, None)


P, F, NONE = PENDING, FLAT, UNKNOWN


@pytest.mark.parametrize(
    ("days", "signals", "config", "ahead"),
    [
        # armed on row 0, filled on row 2, stopped on row 4; row 3's signal comes while it is held, row 4's does not
        (
            [[QUIET, QUIET, UP, QUIET, DOWN, DOWN]],
            [(0, *BRACKET), (3, *BRACKET), (4, *BRACKET)],
            {},
            [(2, P, 4, NONE), None, (5, P, NONE, 6)],
        ),
        # another signal takes its place; short, held to the end of the bars
        ([[QUIET, QUIET, DOWN, QUIET]], [(0, *BRACKET), (1, *BRACKET)], {}, [(1, P, NONE, NONE), (2, P, NONE, 4)]),
        # filled on the bar of the next signal
        ([[QUIET, UP, DOWN]], [(0, *BRACKET), (1, *BRACKET)], {}, [(1, P, 2, NONE), None]),
        # forced out at the end of the session
        ([[QUIET, UP, QUIET, QUIET], [QUIET]], [(0, *BRACKET)], {"exit_at_session_end": True}, [(1, P, 3, NONE)]),
        # its validity is over with its session, or with the next one; what comes then is the next signal
        ([[QUIET, QUIET], [UP, QUIET]], [(0, *BRACKET)], {}, [(4, F, NONE, NONE)]),
        ([[QUIET, QUIET], [UP, QUIET]], [(0, *BRACKET), (3, *BRACKET)], {}, [(3, F, NONE, NONE), (4, F, NONE, NONE)]),
        ([[QUIET, QUIET], [UP, QUIET]], [(0, *BRACKET)], {"valid_sessions": 1}, [(2, P, 4, NONE)]),
        # both sides in one bar: the rules tell which; in and out on one bar: nothing comes after
        ([[QUIET, BOTH, QUIET, DOWN]], [(0, *BRACKET), (2, *BRACKET)], {}, [(1, P, NONE, NONE), (3, P, NONE, 4)]),
        ([[QUIET, UP, QUIET]], [(0, *TIGHT)], {}, [(1, P, NONE, NONE)]),
        # one side only
        ([[QUIET, DOWN, UP, DOWN]], [(0, *BRACKET[:3], None, None, None)], {}, [(2, P, 3, NONE)]),
        # two sessions held
        ([[QUIET, UP], [QUIET, QUIET], [QUIET]], [(0, *BRACKET)], {"max_hold_sessions": 2}, [(1, P, 3, NONE)]),
    ],
)
def test_rows_looked_up(days, signals, config, ahead):
    bars, given = frames("A", days, signals)
    read, instruments = read_bars(bars), [Instrument(symbol="A")]
    settings = ReplayConfig.model_validate({"exit_at_session_end": False, **config})
    machine = Machine.start(settings, read.symbols, instruments)
    machine.place(read, np.arange(1))
    found = machine.look_ahead(read, read_signals(given, read, instruments), 1).ahead
    for rows, wanted in zip(found.tolist(), ahead, strict=True):
        if wanted is None:
            assert [rows[0], *rows[2:]] == [UNKNOWN] * 3
        else:
            assert rows == list(wanted)


def test_the_kernel_takes_what_was_looked_up(monkeypatch):
    """Told of an exit one bar late, it exits one bar late: so it does not look for itself."""
    bars, given = frames("A", [[QUIET, UP, QUIET, DOWN, DOWN, QUIET]], [(0, *BRACKET)])
    read, instruments = read_bars(bars), [Instrument(symbol="A")]

    def late(*arguments):
        look_ahead(*arguments)
        arguments[-1][0, A_LONG_ROW] += 1

    monkeypatch.setattr("trading.replay.lookahead.look_ahead", late)
    config = ReplayConfig.model_validate({"exit_at_session_end": False})
    exits = [
        Run(
            read, instruments, read_signals(given, read, instruments), config, new_queue(6, 1), new_log(2),
            new_curve(6, 2), ahead=ahead,
        ).machine.log.whole[T_EXIT_TIME, 0] // MINUTE
        for ahead in (False, True)
    ]  # fmt: skip
    assert exits == [3, 4]
