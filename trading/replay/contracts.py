"""What bars and signals must be, and what is told of those that are not.

Reading (:mod:`trading.replay.market`) checks all of it in compiled passes, which know only good from bad. The checks here
are polars expressions over whole columns, made once something is bad. Every refusal is a
:class:`trading.errors.ContractViolation` that shows the first offending rows.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NoReturn

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


def refuse_bars(frame: pl.DataFrame, contract: str) -> NoReturn:
    """Tell what is wrong with bars (the contract's columns, of its dtypes).

    Raises:
        ContractViolation: null, price, ohlc_bounds, volume, order, duplicate, session_order.
    """
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
    ts = frame["Timestamp"].to_physical().to_numpy()
    days = frame["session"].to_physical().to_numpy()
    new_symbol = (frame["Symbol"] != frame["Symbol"].shift(1)).fill_null(True).to_numpy()
    symbols: list[str] = frame["Symbol"].filter(new_symbol).to_list()
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
    raise AssertionError(f"{n} bars were refused that keep the contract {contract!r}")


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


def refuse_signals(
    frame: pl.DataFrame,
    by: Sequence[str],
    bars: tuple[list[str], npt.NDArray[np.int64], npt.NDArray[np.int64]],
    instruments: Sequence[Instrument],
    contract: str,
) -> NoReturn:
    """Tell what is wrong with signals (the contract's columns, of its dtypes, and those of ``by``).

    Args:
        bars: the Symbols ascending, where the rows of each begin and end, the rows' timestamps.
        instruments: of each Symbol.

    Raises:
        ContractViolation: null, finite, incomplete_side, stop_side, target_side, entry_positive, duplicate, no_bar.
    """
    long_entry, sl_long, tp_long, short_entry, sl_short, tp_short = (pl.col(name) for name in LEVELS)
    half_long = (long_entry.is_null() != sl_long.is_null()) | (long_entry.is_null() & tp_long.is_not_null())
    half_short = (short_entry.is_null() != sl_short.is_null()) | (short_entry.is_null() & tp_short.is_not_null())
    again = pl.struct(*by, "Symbol", "Timestamp").is_duplicated()
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
    owner, row = _rows_of(frame, *bars)
    numbered = frame.with_row_index("row")
    if (row < 0).any():
        raise violation(contract, "no_bar", "a signal must stand on a bar of its Symbol", numbered.filter(row < 0))
    ticks = np.array([instrument.tick_size for instrument in instruments])[owner]
    for name, direction in (("long_entry", "up"), ("short_entry", "down")):
        entries = frame[name].fill_null(np.nan).to_numpy().copy()
        for tick in np.unique(ticks):
            entries[ticks == tick] = round_levels(entries[ticks == tick], float(tick), direction)  # type: ignore[arg-type]
        if (entries <= 0).any():
            raise violation(
                contract, "entry_positive", f"{name} rounded to the tick must be above 0", numbered.filter(entries <= 0)
            )
    raise AssertionError(f"{frame.height} signals were refused that keep the contract {contract!r}")


def _rows_of(frame: pl.DataFrame, symbols: list[str], start: Any, ts: Any) -> tuple[Any, Any]:
    """(index of the Symbol, row of its bar) of each signal; -1 = there is none."""
    names, times = frame["Symbol"], frame["Timestamp"].to_physical().to_numpy()
    owner, row = np.full(frame.height, -1, dtype=np.int64), np.full(frame.height, -1, dtype=np.int64)
    known = {symbol: i for i, symbol in enumerate(symbols)}
    for symbol in names.unique().to_list():
        if symbol not in known:
            continue
        i = known[symbol]
        begin, end = int(start[i]), int(start[i + 1])
        here = np.flatnonzero((names == symbol).to_numpy())
        at = begin + np.searchsorted(ts[begin:end], times[here])
        found = (at < end) & (ts[np.minimum(at, end - 1)] == times[here])
        owner[here], row[here] = i, np.where(found, at, -1)
    return owner, row
