"""What bars and signals must be before a replay starts, and their reading into flat arrays.

Checks are polars expressions over whole columns (a few milliseconds a million bars). Every refusal is a
:class:`trading.errors.ContractViolation` that shows the first offending rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from trading.errors import ContractViolation
from trading.instruments import Instrument
from trading.ticks import round_levels

INSTANT = pl.Datetime("us", "UTC")
BARS = {
    "Symbol": pl.String(),
    "Timestamp": INSTANT,
    "Open": pl.Float64(),
    "High": pl.Float64(),
    "Low": pl.Float64(),
    "Close": pl.Float64(),
    "Volume": pl.Int64(),
    "session": pl.Date(),
}
LEVELS = ("long_entry", "sl_long", "tp_long", "short_entry", "sl_short", "tp_short")
SIGNALS = {"Symbol": pl.String(), "Timestamp": INSTANT, **dict.fromkeys(LEVELS, pl.Float64())}
_PRICES = ("Open", "High", "Low", "Close")
_SHOWN = 5

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BarArrays:
    """Bars as flat arrays of n rows, Symbol after Symbol, ascending in time.

    Attributes:
        symbols: ascending; ``start[i]:start[i + 1]`` are the rows of ``symbols[i]``.
        ts: int64 microseconds UTC.
        last: uint8, 1 on a Symbol's last bar of a session.
        session: int64, the number of the bar's session among its Symbol's, from 0.
    """

    symbols: list[str]
    start: Ints
    ts: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    last: npt.NDArray[np.uint8]
    session: Ints


@dataclass(frozen=True)
class SignalArrays:
    """Signals as flat arrays of m rows in the order of their bars.

    Attributes:
        row: the bar's row.
        owner: index of the Symbol.
        levels: (m, 6) in the order of ``LEVELS``, tick-rounded; NaN = absent.
    """

    row: Ints
    owner: Ints
    levels: Floats


def violation(contract: str, rule: str, says: str, rows: pl.DataFrame | None = None) -> ContractViolation:
    """A refusal that names contract and rule and shows the first of ``rows``."""
    details = ""
    if rows is not None:
        with pl.Config(tbl_rows=_SHOWN, tbl_cols=-1, tbl_hide_dataframe_shape=True, tbl_width_chars=200):
            details = str(rows.head(_SHOWN))
        says = f"{says}; {rows.height} offending row(s), the first:\n{details}"
    return ContractViolation(
        f"contract {contract!r}, rule {rule!r}: {says}", contract=contract, rule=rule, details=details
    )


def check_columns(frame: pl.DataFrame, contract: str, wanted: Mapping[str, pl.DataType]) -> None:
    """Refuse missing columns and other dtypes; dtype Null (all null) passes for levels of signals."""
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise violation(contract, "columns", f"column(s) {missing} missing; there are {frame.columns}")
    for name, dtype in wanted.items():
        found = frame.schema[name]
        if found != dtype and not (found == pl.Null and contract == "replay.signals" and name in LEVELS):
            raise violation(contract, "dtype", f"column {name!r} must be {dtype}, it is {found}")


def _check_rows(frame: pl.DataFrame, contract: str, rules: Sequence[tuple[str, pl.Expr, str]]) -> None:
    """Refuse the first rule with bad rows; a rule is (name, expression true on bad rows, what must hold)."""
    if frame.height == 0:
        return
    broken = frame.select(bad.fill_null(False).any().alias(name) for name, bad, _ in rules).row(0)
    for (name, bad, says), is_broken in zip(rules, broken, strict=True):
        if is_broken:
            raise violation(contract, name, says, frame.with_row_index("row").filter(bad.fill_null(False)))


def read_bars(bars: pl.DataFrame, contract: str = "replay.bars") -> BarArrays:
    """Check the bars' contract and read them.

    Raises:
        ContractViolation: columns, dtype, null, price, ohlc_bounds, volume, order, duplicate, session_order.
    """
    check_columns(bars, contract, BARS)
    frame = bars.select(list(BARS)).rechunk()
    nulls = {name: count for name, count in frame.null_count().row(0, named=True).items() if count}
    if nulls:
        any_null = pl.any_horizontal(pl.col(name).is_null() for name in nulls)
        raise violation(
            contract,
            "null",
            f"no value may be null, in {sorted(nulls)}",
            frame.with_row_index("row").filter(any_null),
        )
    bad_price = pl.any_horizontal(~(pl.col(name).is_finite() & (pl.col(name) > 0)) for name in _PRICES)
    open_, high, low, close = (pl.col(name) for name in _PRICES)
    _check_rows(
        frame,
        contract,
        [
            ("price", bad_price, "prices must be finite and above 0"),
            (
                "ohlc_bounds",
                (high < low) | (high < open_) | (high < close) | (low > open_) | (low > close),
                "High must be at or above, and Low at or below, Open and Close",
            ),
            ("volume", pl.col("Volume") < 0, "Volume must be at least 0"),
        ],
    )
    n = frame.height
    ts = _array(frame["Timestamp"].to_physical())
    days = _array(frame["session"].to_physical())
    new_symbol = np.ones(n, dtype=bool)
    if n:
        new_symbol[1:] = _array((frame["Symbol"] != frame["Symbol"].shift(1)).slice(1))
    start = np.append(np.flatnonzero(new_symbol), n).astype(np.int64)
    symbols: list[str] = frame["Symbol"].gather(start[:-1]).to_list()
    if any(a >= b for a, b in pairwise(symbols)):
        before = pl.col("Symbol").shift(1)
        back = frame.with_row_index("row").filter((pl.col("Symbol") < before).fill_null(False))
        raise violation(contract, "order", "bars must be sorted by (Symbol, Timestamp)", back)
    same_symbol = ~new_symbol[1:]
    step = ts[1:] - ts[:-1]
    for rule, bad, says in (
        ("duplicate", same_symbol & (step == 0), "a Symbol may have one bar a Timestamp"),
        ("order", same_symbol & (step < 0), "bars must be sorted by (Symbol, Timestamp)"),
        (
            "session_order",
            same_symbol & (days[1:] < days[:-1]),
            "a Symbol's session must not go back in time",
        ),
    ):
        if bad.any():
            rows = np.flatnonzero(bad) + 1
            around = np.unique(np.concatenate([rows[:_SHOWN] - 1, rows[:_SHOWN]]))
            raise violation(contract, rule, says, frame.with_row_index("row")[around])
    last = np.ones(n, dtype=np.uint8)
    if n:
        last[:-1] = new_symbol[1:] | (days[1:] != days[:-1])
    ended_before = np.zeros(n, dtype=np.int64)
    if n:
        np.cumsum(last[:-1], out=ended_before[1:])
    session = ended_before - np.repeat(ended_before[start[:-1]], np.diff(start))
    o, h, lo, c = (_array(frame[name]) for name in _PRICES)
    return BarArrays(symbols, start, ts, o, h, lo, c, last, session)


def _array(series: pl.Series) -> Any:
    return series.to_numpy()


def check_instruments(
    symbols: Sequence[str], instruments: Mapping[str, Instrument] | None, contract: str = "replay.bars"
) -> list[Instrument]:
    """The instrument of each Symbol; defaults where ``instruments`` is None.

    Raises:
        ContractViolation: ``unknown_symbol``: a Symbol that the given instruments do not know.
    """
    if instruments is None:
        return [Instrument(symbol=symbol) for symbol in symbols]
    unknown = [symbol for symbol in symbols if symbol not in instruments]
    if unknown:
        raise violation(
            contract,
            "unknown_symbol",
            f"no instrument given for {unknown[:_SHOWN]} ({len(unknown)} in all); given are {sorted(instruments)[:20]}",
        )
    return [instruments[symbol] for symbol in symbols]


def read_signals(
    signals: pl.DataFrame,
    bars: BarArrays,
    instruments: Sequence[Instrument],
    contract: str = "replay.signals",
) -> SignalArrays:
    """Check the signals' contract against their bars, and read them with every level rounded to its tick.

    Raises:
        ContractViolation: columns, dtype, null, finite, incomplete_side, stop_side, target_side,
            entry_positive, duplicate, no_bar.
    """
    check_columns(signals, contract, SIGNALS)
    frame = signals.select("Symbol", "Timestamp", *(pl.col(name).cast(pl.Float64) for name in LEVELS)).sort(
        "Symbol", "Timestamp"
    )
    long_entry, sl_long, tp_long, short_entry, sl_short, tp_short = (pl.col(name) for name in LEVELS)
    half_long = (long_entry.is_null() != sl_long.is_null()) | (long_entry.is_null() & tp_long.is_not_null())
    half_short = (short_entry.is_null() != sl_short.is_null()) | (short_entry.is_null() & tp_short.is_not_null())
    again = pl.struct("Symbol", "Timestamp").is_duplicated()
    _check_rows(
        frame,
        contract,
        [
            (
                "null",
                pl.col("Symbol").is_null() | pl.col("Timestamp").is_null(),
                "Symbol and Timestamp must be given",
            ),
            (
                "finite",
                pl.any_horizontal(~pl.col(name).is_finite() for name in LEVELS),
                "levels must be finite; an absent level is null",
            ),
            (
                "incomplete_side",
                half_long | half_short,
                "a side needs its entry and its sl, or none of its levels",
            ),
            (
                "stop_side",
                (sl_long >= long_entry) | (sl_short <= short_entry),
                "sl_long must be under long_entry, sl_short above short_entry",
            ),
            (
                "target_side",
                (tp_long <= long_entry) | (tp_short >= short_entry),
                "tp_long must be above long_entry, tp_short under short_entry",
            ),
            ("entry_positive", (long_entry <= 0) | (short_entry <= 0), "entry levels must be above 0"),
            ("duplicate", again, "at most one signal per (Symbol, Timestamp)"),
        ],
    )
    m = frame.height
    row = np.full(m, -1, dtype=np.int64)
    owner = np.full(m, -1, dtype=np.int64)
    levels = np.column_stack([frame[name].fill_null(np.nan).to_numpy() for name in LEVELS]) if m else np.empty((0, 6))
    ts = _array(frame["Timestamp"].to_physical())
    index = {symbol: i for i, symbol in enumerate(bars.symbols)}
    for symbol, first, count in _runs(frame["Symbol"]):
        i = index.get(symbol)
        if i is None:
            continue
        begin, end = int(bars.start[i]), int(bars.start[i + 1])
        part = slice(first, first + count)
        at = begin + np.searchsorted(bars.ts[begin:end], ts[part])
        found = (at < end) & (bars.ts[np.minimum(at, end - 1)] == ts[part])
        row[part] = np.where(found, at, -1)
        owner[part] = i
    if (row < 0).any():
        raise violation(
            contract,
            "no_bar",
            "a signal must stand on a bar of its Symbol",
            frame.with_row_index("row").filter(row < 0),
        )
    levels = np.ascontiguousarray(levels)
    _round(levels, owner, instruments)
    for column in (0, 3):
        if (levels[:, column] <= 0).any():
            raise violation(
                contract,
                "entry_positive",
                f"{LEVELS[column]} rounded to the tick must be above 0",
                frame.filter(levels[:, column] <= 0),
            )
    return SignalArrays(row, owner, levels)


def _round(levels: Floats, owner: Ints, instruments: Sequence[Instrument]) -> None:
    """Away from the trader, in place: long entry up, its sl down, its tp up; the short side mirrored."""
    ticks = np.array([instrument.tick_size for instrument in instruments])
    of_signal = ticks[owner] if len(owner) else np.empty(0)
    for tick in np.unique(of_signal):
        rows = of_signal == tick
        for column, direction in enumerate(("up", "down", "up", "down", "up", "down")):
            levels[rows, column] = round_levels(levels[rows, column], float(tick), direction)  # type: ignore[arg-type]


def _runs(symbols: pl.Series) -> list[tuple[str, int, int]]:
    if symbols.is_empty():
        return []
    runs = symbols.rle().struct.unnest()
    lengths = runs["len"].to_numpy().astype(np.int64)
    first = np.cumsum(lengths) - lengths
    return list(zip(runs["value"].to_list(), first.tolist(), lengths.tolist(), strict=True))
