"""Book: the same trades as replay(), however the bars are cut and however often the state is stored."""

import datetime as dt
import json
import random

import numpy as np
import polars as pl
import pytest

from trading.errors import ContractViolation, DataError
from trading.replay import ReplayConfig, replay
from trading.replay.book import ArmedSetup, Book
from trading.replay.market import read_bars, read_signals
from trading.ticks import round_to_tick


def with_session_end(bars: pl.DataFrame) -> pl.DataFrame:
    last = (pl.col("session") != pl.col("session").shift(-1)).fill_null(True)
    return bars.with_columns(session_end=last.over("Symbol"))


def setup_of(book, row, session, instrument, valid_sessions):
    """A signal row as the caller arms it: levels rounded, quantities by the book's own sizing."""

    def rounded(name, direction):
        return None if row[name] is None else round_to_tick(row[name], instrument.tick_size, direction)

    long_entry, sl_long, tp_long = rounded("long_entry", "up"), rounded("sl_long", "down"), rounded("tp_long", "up")
    short_entry, sl_short = rounded("short_entry", "down"), rounded("sl_short", "up")
    return ArmedSetup(
        setup_id=f"{row['Symbol']}@{row['Timestamp'].isoformat()}",
        symbol=row["Symbol"],
        setup_time=row["Timestamp"],
        session=session,
        valid_sessions=valid_sessions,
        long_entry=long_entry,
        sl_long=sl_long,
        tp_long=tp_long,
        qty_long=0.0 if long_entry is None else book.quantity(row["Symbol"], long_entry, sl_long),
        short_entry=short_entry,
        sl_short=sl_short,
        tp_short=rounded("tp_short", "down"),
        qty_short=0.0 if short_entry is None else book.quantity(row["Symbol"], short_entry, sl_short),
    )


def drive(bars, signals, config, instruments, rng):
    """Trades and rejections of a Book that is fed in random steps and stored and restored at random."""
    book = Book(config, instruments)
    rows = {(s["Symbol"], s["Timestamp"]): s for s in signals.iter_rows(named=True)}
    bars = with_session_end(bars)
    times = sorted(bars["Timestamp"].unique())
    signal_times = {t for _, t in rows}
    entries, trades, rejected = {}, [], []

    def note(events):
        for e in events:
            when = dt.datetime.fromisoformat(e.setup_id.split("@")[1])
            if e.kind == "entry":
                entries[e.symbol] = e
            elif e.kind == "exit":
                entry = entries.pop(e.symbol)
                fees = entry.fee + e.fee
                pnl = e.side * e.qty * (e.price - entry.price) - fees
                trades.append(
                    (e.time, e.symbol, when, e.side, e.qty, entry.time, entry.price, e.price, e.reason, fees, pnl)
                )
            elif e.kind == "rejected":
                rejected.append((e.symbol, when, e.time, e.reason))

    start = 0
    while start < len(times):
        end = start + 1
        while end < len(times) and times[end - 1] not in signal_times and rng.random() < 0.6:
            end += 1
        chunk = bars.filter(pl.col("Timestamp").is_between(times[start], times[end - 1]))
        note(book.advance(chunk))
        for bar in chunk.filter(pl.col("Timestamp") == times[end - 1]).iter_rows(named=True):
            row = rows.get((bar["Symbol"], bar["Timestamp"]))
            if row is None:
                continue
            setup = setup_of(book, row, bar["session"], instruments[bar["Symbol"]], config.valid_sessions)
            if book.arm(setup) == "rejected":
                rejected.append((bar["Symbol"], bar["Timestamp"], bar["Timestamp"], "size"))
        if rng.random() < 0.3:
            book = Book(config, instruments, state=json.loads(json.dumps(book.state(), allow_nan=False)))
        start = end
    note(book.flatten(reason="end"))
    assert not book.positions()
    return sorted(trades), rejected, book


@pytest.mark.parametrize("block", range(4))
def test_a_book_fed_bar_by_bar_equals_the_replay(oracle, block):
    for seed in range(block * 25, block * 25 + 25):
        bars, signals, config, instruments = oracle.frames(oracle.random_case(seed))
        want = replay(bars, signals, config, instruments)
        trades, rejected, book = drive(bars, signals, config, instruments, random.Random(seed))
        columns = ("exit_time", "Symbol", "setup_time", "side", "qty", "entry_time", "entry_price", "exit_price")
        wanted = want.trades.select(*columns, "exit_reason", "fees", "pnl").rows()
        assert [t[:9] for t in trades] == [w[:9] for w in wanted], f"seed {seed}"
        assert [t[9:] for t in trades] == [pytest.approx(w[9:], rel=1e-12, abs=1e-9) for w in wanted], f"seed {seed}"
        assert rejected == want.rejected.rows(), f"seed {seed}"
        assert book.realised() == pytest.approx(want.metrics["final_cash"], rel=1e-12, abs=1e-9), f"seed {seed}"


T = [dt.datetime(2024, 1, 2, 14, 30 + i, tzinfo=dt.UTC) for i in range(10)]
DAY = dt.date(2024, 1, 2)
CONFIG = ReplayConfig.model_validate(
    {"initial_cash": 10000.0, "sizing": {"mode": "fixed", "qty": 10}, "exit_at_session_end": False}
)


def bar(i, o, h, low, c, symbol="A", session=DAY, session_end=False):
    return pl.DataFrame(
        {
            "Symbol": [symbol],
            "Timestamp": [T[i]],
            "Open": [o],
            "High": [h],
            "Low": [low],
            "Close": [c],
            "Volume": [1],
            "session": [session],
            "session_end": [session_end],
        },
        schema_overrides={
            "Timestamp": pl.Datetime("us", "UTC"),
            **dict.fromkeys(("Open", "High", "Low", "Close"), pl.Float64),
        },
    )


def long_setup(i, setup_id="x", **changes):
    base = {"long_entry": 101.0, "sl_long": 99.0, "tp_long": 105.0, "qty_long": 10.0}
    return ArmedSetup(setup_id=setup_id, symbol="A", setup_time=T[i], session=DAY, **{**base, **changes})


def test_life_of_a_setup():
    book = Book(CONFIG)
    assert book.last_timestamp() is None
    assert book.advance(bar(0, 100, 100, 100, 100)) == []
    assert book.arm(long_setup(0)) == "armed"
    assert [s.setup_id for s in book.pending()] == ["x"]
    assert book.advance(bar(1, 100, 100.5, 100, 100)) == []
    assert book.arm(long_setup(1, "y")) == "replaced"
    (entry,) = book.advance(bar(2, 100, 102, 100, 102))
    assert (entry.kind, entry.setup_id, entry.price, entry.qty, entry.side) == ("entry", "y", 101.0, 10.0, 1)
    (held,) = book.positions()
    assert (held.setup_id, held.stop, held.target, held.entry_time, held.unrealised) == ("y", 99.0, 105.0, T[2], 10.0)
    assert book.equity() == 10010.0
    assert book.realised() == 10000.0
    assert book.arm(long_setup(2, "z")) == "ignored_in_position"
    (exit_,) = book.advance(bar(3, 103, 106, 103, 106))
    assert (exit_.kind, exit_.setup_id, exit_.price, exit_.reason) == ("exit", "y", 105.0, "tp")
    assert book.realised() == book.equity() == 10040.0
    assert book.last_timestamp() == T[3]


def test_expiry_is_told_at_the_session_end():
    book = Book(CONFIG)
    book.advance(bar(0, 100, 100, 100, 100))
    book.arm(long_setup(0))
    (event,) = book.advance(bar(1, 100, 100, 100, 100, session_end=True))
    assert (event.kind, event.setup_id, event.time, event.reason) == ("expired", "x", T[1], "expired")
    assert book.pending() == []
    assert book.arm(long_setup(1)) == "expired"
    assert book.arm(long_setup(1, valid_sessions=1)) == "armed"
    tomorrow = dt.date(2024, 1, 3)
    (event,) = book.advance(bar(2, 100, 100, 100, 100, session=tomorrow, session_end=True))
    assert event.kind == "expired"


def test_a_setup_without_quantity_is_rejected_and_takes_the_older_with_it():
    book = Book(CONFIG)
    book.advance(bar(0, 100, 100, 100, 100))
    book.arm(long_setup(0))
    assert book.arm(long_setup(0, qty_long=0.0)) == "rejected"
    assert book.pending() == []


def test_cancel_and_flatten():
    book = Book(CONFIG)
    book.advance(bar(0, 100, 100, 100, 100))
    book.arm(long_setup(0))
    assert not book.cancel("other")
    assert book.cancel("x")
    assert not book.cancel("x")
    assert book.advance(bar(1, 100, 103, 100, 103)) == []
    book.arm(long_setup(1))
    book.advance(bar(2, 103, 104, 103, 104))
    assert book.flatten("B") == []
    (event,) = book.flatten("A", reason="kill_switch")
    assert (event.kind, event.price, event.reason, event.time) == ("exit", 104.0, "kill_switch", T[2])
    assert book.realised() == 10010.0
    assert book.flatten() == []


def test_a_flattened_position_pays_slippage_and_fees():
    book = Book(CONFIG.model_copy(update={"costs": type(CONFIG.costs)(fees_bps=10, slippage_bps=100)}))
    book.advance(bar(0, 100, 100, 100, 100))
    book.arm(long_setup(0, long_entry=100.0))
    book.advance(bar(1, 100, 100, 100, 100))
    (event,) = book.flatten()
    assert (event.price, event.fee) == pytest.approx((99.0, 0.99))
    assert book.realised() == pytest.approx(10000 - 1.01 - 20 - 0.99)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"setup_time": T[5]}, "last seen bar"),
        ({"session": dt.date(2024, 1, 3)}, "last seen bar"),
        ({"symbol": "B"}, "last seen bar"),
        ({"sl_long": None}, "needs an entry and a stop"),
        ({"long_entry": 101.001}, "tick grid"),
        ({"sl_long": 102.0}, "out of order"),
        ({"tp_long": 100.0}, "out of order"),
        ({"qty_long": -1.0}, "qty_long"),
        ({"qty_long": float("nan")}, "qty_long"),
        ({"valid_sessions": -1}, "valid_sessions"),
    ],
)
def test_wrong_setups_are_refused(changes, says):
    book = Book(CONFIG)
    book.advance(bar(0, 100, 100, 100, 100))
    setup = ArmedSetup(**{**long_setup(0).__dict__, **changes})
    with pytest.raises(DataError, match=says):
        book.arm(setup)
    assert book.pending() == []


def test_late_bars_are_refused():
    book = Book(CONFIG)
    book.advance(bar(1, 100, 100, 100, 100))
    for i in (0, 1):
        with pytest.raises(ContractViolation) as refused:
            book.advance(bar(i, 100, 100, 100, 100, symbol="B"))
        assert refused.value.rule == "late"


def test_a_session_that_goes_on_wrongly_is_refused():
    tomorrow = dt.date(2024, 1, 3)
    book = Book(CONFIG)
    book.advance(bar(0, 100, 100, 100, 100))
    with pytest.raises(ContractViolation, match="has not ended it"):
        book.advance(bar(1, 100, 100, 100, 100, session=tomorrow))
    book.advance(bar(1, 100, 100, 100, 100, session_end=True))
    with pytest.raises(ContractViolation, match="has ended it"):
        book.advance(bar(2, 100, 100, 100, 100))
    two = pl.concat(
        [bar(2, 100, 100, 100, 100, session=tomorrow, session_end=True), bar(3, 100, 100, 100, 100, session=tomorrow)]
    )
    with pytest.raises(ContractViolation) as refused:
        book.advance(two)
    assert refused.value.rule == "session_end"


def test_a_stored_book_belongs_to_its_config():
    book = Book(CONFIG)
    book.advance(bar(0, 100, 100, 100, 100))
    other = CONFIG.model_copy(update={"max_leverage": 2.0})
    with pytest.raises(DataError, match="another config"):
        Book(other, state=book.state())
    with pytest.raises(DataError, match="version"):
        Book(CONFIG, state={**book.state(), "version": 7})


def test_the_numbering_goes_on_between_calls(oracle):
    """bars_held and max_hold_sessions count over calls: one call and many give the same state."""
    bars, signals, config, instruments = oracle.frames(oracle.random_case(41))
    arrays = read_bars(bars)
    assert len(read_signals(signals, arrays, [instruments[s] for s in arrays.symbols]).row) == signals.height
    bars = with_session_end(bars)
    whole, steps = Book(config, instruments), Book(config, instruments)
    whole.advance(bars)
    for time in sorted(bars["Timestamp"].unique()):
        steps.advance(bars.filter(pl.col("Timestamp") == time))
    assert whole.state() == steps.state()
    assert np.diff(arrays.session_first).max() > 1
