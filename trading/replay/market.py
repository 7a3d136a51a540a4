"""Bars and signals read into flat arrays, checked on the way, in a few passes and without copies of columns."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import polars as pl

from trading.instruments import Instrument
from trading.replay.contracts import BARS, LEVELS, SIGNALS, check_columns, refuse_bars, refuse_signals
from trading.replay.memory import arrays
from trading.replay.state import NEVER, Market
from trading.replay.threads import edges_by_rows, even_edges, in_parts, parts_of
from trading.ticks import exact, round_levels

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MOST_RUNS = 1 << 16


@dataclass(frozen=True)
class Bars:
    """Bars of m Symbols, n rows and t distinct timestamps.

    Attributes:
        symbols: ascending; ``start[i]:start[i + 1]`` are the rows of ``symbols[i]``.
        ts: (n,) int64 microseconds UTC.
        days: (n,) int32, sessions as days since 1970.
        market: what the kernel reads.
        session_first: (m + 1,), where a Symbol's sessions begin in ``market.session_last``.
        shift: (m,), what to add to a row for its place in ``market.step``.
        twin: (m,), a Symbol before with the same timestamps and sessions, or the Symbol itself.
    """

    symbols: list[str]
    start: Ints
    ts: Ints
    days: npt.NDArray[np.int32]
    market: Market
    session_first: Ints
    shift: Ints
    twin: Ints


@dataclass(frozen=True)
class SignalArrays:
    """Signals as flat arrays of k rows in the order of their bars.

    Attributes:
        row: the bar's row.
        levels: (k, 6) in the order of ``LEVELS``, tick-rounded; NaN = absent.
        first: (symbols + 1,), where a Symbol's signals begin.
        ahead: (k, 4), what was looked up ahead, see :mod:`trading.replay.lookahead`. Empty = nothing was.
    """

    row: Ints
    levels: Floats
    first: Ints
    ahead: Ints = field(default_factory=lambda: np.empty((0, 4), np.int64))


def read_bars(bars: pl.DataFrame, contract: str = "replay.bars") -> Bars:
    """Check the bars' contract and read them.

    Raises:
        ContractViolation: columns, dtype, null, price, ohlc_bounds, volume, order, duplicate, session_order.
    """
    from trading.replay import passes

    check_columns(bars, contract, BARS)
    frame = bars.select(list(BARS)).rechunk()
    if any(frame.null_count().row(0)):
        refuse_bars(frame, contract)
    ts, days = column(frame["Timestamp"]), column(frame["session"])
    o, h, lo, c = (column(frame[name]) for name in ("Open", "High", "Low", "Close"))
    volume = column(frame["Volume"])
    n = len(ts)
    parts = parts_of(n)
    views = _views(frame["Symbol"])

    def look(begin: int, end: int) -> tuple[Ints | None, bool]:
        return _boundaries(views, begin, end), passes.prices_are_good(o, h, lo, c, volume, begin, end)

    looked = in_parts(look, even_edges(n, parts))
    start = _starts(frame["Symbol"], [found for found, _ in looked])
    symbols: list[str] = frame["Symbol"].gather(start[:-1]).to_list()
    twin = np.empty(len(symbols), np.int64)
    good = all(good for _, good in looked) and all(a < b for a, b in pairwise(symbols))
    if not good or not all(
        in_parts(
            lambda begin, end: passes.order_is_good(ts, days, start, begin, end, twin), edges_by_rows(start, parts)
        )
    ):
        refuse_bars(frame, contract)
    first = np.zeros(len(symbols) + 1, np.int64)
    last = np.empty(passes.session_ends(days, start, twin, np.empty(0, np.int64), first), np.int64)
    if len(last):
        passes.session_ends(days, start, twin, last, first)
    grid, step, shift = _grid(ts, start, twin)
    return Bars(symbols, start, ts, days, Market(o, h, lo, c, grid, step, read_only(last)), first, shift, twin)


def sessions_of(bars: Bars) -> tuple[pl.Series, Ints]:
    """The sessions of all Symbols, ascending (Date), and the index of each one's last timestamp in the grid."""
    from trading.replay import passes

    last, days = bars.market.session_last, bars.days
    if not len(last):
        return pl.Series("session", [], dtype=pl.Date), np.empty(0, np.int64)
    counts = np.diff(bars.session_first)
    steps = last + np.repeat(bars.shift, counts)
    if len(bars.market.step):
        steps = bars.market.step[steps].astype(np.int64)
    own = days[last].astype(np.int64)
    first_day = int(own.min())
    latest = np.full(int(own.max()) - first_day + 1, -1, np.int64)
    passes.latest(own, steps, first_day, latest)
    present = np.flatnonzero(latest >= 0)
    return pl.Series("session", (present + first_day).astype(np.int32)).cast(pl.Date), latest[present]


def with_session_flags(bars: Bars, flags: npt.NDArray[np.bool_]) -> Bars:
    """``bars`` with their sessions' last rows as flagged; a Symbol whose last row has no flag goes on with its session."""
    rows = np.flatnonzero(flags)
    last: list[int] = []
    first = [0]
    for begin, end in zip(bars.start[:-1].tolist(), bars.start[1:].tolist(), strict=True):
        last += rows[np.searchsorted(rows, begin) : np.searchsorted(rows, end)].tolist()
        if not flags[end - 1]:
            last.append(NEVER)
        first.append(len(last))
    market = bars.market._replace(session_last=read_only(np.array(last, np.int64)))
    return replace(bars, market=market, session_first=np.array(first, np.int64))


class SignalReader:
    """Signals of a frame, read and checked part by part.

    Args:
        signals: the columns of the contract, and those of ``by``.
        by: columns ahead of (Symbol, Timestamp) in the order of rows.

    Raises:
        ContractViolation: columns, dtype.
    """

    def __init__(
        self,
        signals: pl.DataFrame,
        bars: Bars,
        instruments: Sequence[Instrument],
        by: Sequence[str] = (),
        contract: str = "replay.signals",
    ) -> None:
        check_columns(signals, contract, SIGNALS)
        self.by, self.contract = by, contract
        self.bars, self.instruments = bars, instruments
        self.ticks = np.array([_tick(instrument) for instrument in instruments]).reshape(-1, 3)
        levels = [pl.col(name).cast(pl.Float64) for name in LEVELS]
        self.given = signals.select(*by, "Symbol", "Timestamp", *levels).rechunk()
        self._take(self.given)

    def _take(self, frame: pl.DataFrame) -> None:
        self.frame = frame
        if frame["Symbol"].null_count() or frame["Timestamp"].null_count():
            self.refuse()
        self.owner = _owners(frame["Symbol"], self.bars.symbols)
        self.times = column(frame["Timestamp"])
        self.columns = tuple(column(frame[name].fill_null(math.nan)) for name in LEVELS)
        self.absent = sum(frame[name].null_count() for name in LEVELS)

    def sort(self) -> None:
        self._take(self.frame.sort(*self.by, "Symbol", "Timestamp"))

    def refuse(self) -> NoReturn:
        """Tell what is wrong with the frame.

        Raises:
            ContractViolation: null, finite, incomplete_side, stop_side, target_side, entry_positive, duplicate, no_bar.
        """
        bars = self.bars.symbols, self.bars.start, self.bars.ts
        refuse_signals(self.given, self.by, bars, self.instruments, self.contract)

    def read(self, begin: int, end: int, row: Ints, levels: Floats, first: Ints, nans: Ints, seen: Any) -> int:
        """Rows [begin, end), which are one run's, into the given arrays; an outcome of :mod:`trading.replay.passes`."""
        from trading.replay import passes

        outcome: int = passes.read_signals(
            self.owner, self.times, self.columns, begin, end, self.bars.ts, self.bars.start, self.bars.twin,
            self.ticks, row, levels, first, nans, seen,
        )  # fmt: skip
        return self.settle(outcome, begin, end, levels)

    def settle(self, outcome: int, begin: int, end: int, levels: Floats) -> int:
        """What came of reading rows [begin, end), once levels that floats could not round have been rounded otherwise."""
        from trading.replay import passes

        if outcome == passes.OUT_OF_DOMAIN:
            self._round(begin, end, levels)
            if (levels[: end - begin, ::3] <= 0).any():
                return passes.BAD
            return passes.GOOD
        return outcome

    def _round(self, begin: int, end: int, levels: Floats) -> None:
        """The levels of rows [begin, end) one by one where floats do not do."""
        ticks = np.array([instrument.tick_size for instrument in self.instruments])[self.owner[begin:end]]
        for tick in np.unique(ticks):
            rows = ticks == tick
            for i, (values, up) in enumerate(zip(self.columns, (True, False) * 3, strict=True)):
                part = values[begin:end][rows]
                levels[: end - begin][rows, i] = round_levels(part, float(tick), "up" if up else "down")


def read_signals(signals: pl.DataFrame, bars: Bars, instruments: Sequence[Instrument]) -> SignalArrays:
    """Check the signals' contract against their bars, and read them with every level rounded to its tick.

    Raises:
        ContractViolation: columns, dtype, null, finite, incomplete_side, stop_side, target_side,
            entry_positive, duplicate, no_bar.
    """
    from trading.replay import passes

    reader = SignalReader(signals, bars, instruments)
    m = signals.height
    read = SignalArrays(*arrays((m, "i8"), ((m, 6), "f8"), (len(bars.symbols) + 1, "i8")))

    nothing = passes.new_seen(0, len(bars.symbols))

    def part(begin: int, end: int) -> tuple[int, Ints, int]:
        first, nans = np.zeros_like(read.first), np.zeros(1, np.int64)
        row, levels = read.row[begin:end], read.levels[begin:end]
        return reader.read(begin, end, row, levels, first, nans, nothing), first, int(nans[0])

    def attempt() -> bool:
        owner = reader.owner
        symbols = edges_by_rows(bars.start, parts_of(len(bars.ts)))
        cuts = np.searchsorted(owner, symbols[1:-1]).tolist()
        if any(0 < cut < m and owner[cut - 1] >= owner[cut] for cut in cuts):
            return False
        outcomes, firsts, nans = zip(*in_parts(part, [0, *cuts, m]), strict=True)
        read.first[:] = sum(firsts)
        return set(outcomes) == {passes.GOOD} and sum(nans) == reader.absent

    read_or_refuse(attempt, reader)
    return read


def read_or_refuse(attempt: Callable[[], bool], reader: SignalReader) -> None:
    """Try; try again on sorted rows; tell what is wrong."""
    if attempt():
        return
    reader.sort()
    if not attempt():
        reader.refuse()


def column(series: pl.Series) -> Any:
    """The values of a column without nulls, not copied where it is one chunk, read-only."""
    numbers = series if series.dtype.is_numeric() else series.to_physical()
    return read_only(numbers.to_numpy())


def read_only(array: Any) -> Any:
    """A view that cannot be written through, as compiled code makes a difference."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def _views(series: pl.Series) -> Any:
    """(n, 2) uint64: the Arrow string views of a String column of one chunk, without a copy."""
    if not series.len():
        return read_only(np.empty((0, 2), np.uint64))
    arrow: Any = series.to_arrow(compat_level=pl.CompatLevel.newest())
    words = np.frombuffer(arrow.buffers()[1], np.uint64)[2 * arrow.offset : 2 * (arrow.offset + len(arrow))]
    return read_only(words.reshape(-1, 2))


def _boundaries(views: Any, begin: int, end: int) -> Ints | None:
    """See :func:`trading.replay.passes.boundaries`; None where there are too many."""
    from trading.replay import passes

    found = np.empty(_MOST_RUNS, np.int64)
    count = passes.boundaries(views, begin, end, found)
    return found[:count] if count >= 0 else None


def _starts(names: pl.Series, boundaries: list[Ints | None]) -> Ints:
    """First rows of the runs of equal Symbols, and the number of rows; they begin at row 0 and at some of the boundaries."""
    n = names.len()
    if n == 0:
        return np.zeros(1, np.int64)
    known = [found for found in boundaries if found is not None]
    if len(known) == len(boundaries):
        starts = np.concatenate([[0], *known])
        # longer strings may have other views and yet be equal
        firsts = names.gather(starts).to_list()
        starts = starts[[i == 0 or firsts[i] != firsts[i - 1] for i in range(len(firsts))]]
    else:
        starts = np.flatnonzero((names != names.shift(1)).fill_null(True).to_numpy())
    return np.append(starts, n).astype(np.int64)


def _owners(names: pl.Series, symbols: list[str]) -> npt.NDArray[np.int32]:
    """Index of each name among ``symbols``; -1 = not there."""
    from trading.replay import passes

    n = names.len()
    owner = np.empty(n, np.int32)
    views, table = _views(names), _views(pl.Series(symbols, dtype=pl.String))

    def look_up(begin: int, end: int) -> bool:
        return bool(passes.codes(views[begin:end], table, owner[begin:end]))

    if n and not all(in_parts(look_up, even_edges(n, parts_of(n)))):
        found = names.cast(pl.Enum(symbols), strict=False).to_physical().cast(pl.Int32).fill_null(-1)
        owner = found.to_numpy().copy()
    return owner


def _grid(ts: Ints, start: Ints, twin: Ints) -> tuple[Any, Any, Ints]:
    """(distinct timestamps, places of rows in them, what to add to each Symbol's rows to find its places)."""
    from trading.replay import passes

    m = len(start) - 1
    if m == 0:
        return read_only(np.empty(0, np.int64)), read_only(np.empty(0, np.int32)), np.empty(0, np.int64)
    lengths = np.diff(start)
    own = [s for s in range(m) if twin[s] == s]
    longest = max(own, key=lambda s: lengths[s])
    grid = np.asarray(ts[start[longest] : start[longest + 1]])
    extra = []
    for s in own:
        if s != longest:
            novel = np.empty(lengths[s], np.int64)
            extra.append(novel[: passes.merge_into(read_only(grid), ts, start[s], start[s + 1], novel)].copy())
    if any(len(part) for part in extra):
        grid = np.unique(np.concatenate([grid, *extra]))
    grid = read_only(grid)
    if len(own) == 1:
        return grid, read_only(np.empty(0, np.int32)), -start[:-1]
    step = np.empty(int(lengths[own].sum()), np.int32)
    shift = np.empty(m, np.int64)
    at = 0
    for s in own:
        shift[s] = at - start[s]
        passes.places(grid, ts, start[s], start[s + 1], step[at : at + lengths[s]])
        at += int(lengths[s])
    for s in range(m):
        if twin[s] != s:
            shift[s] = shift[twin[s]] + start[twin[s]] - start[s]
    return grid, read_only(step), shift


def _tick(instrument: Instrument) -> tuple[float, float, float]:
    """Numerator and denominator of the tick, and under what level rounding by floats is exact.

    The bounds are those of :func:`trading.ticks.round_levels`; a tick that is too fine or coarse has no such levels.
    """
    tick = exact(instrument.tick_size)
    num, den = tick.numerator, tick.denominator
    if num >= 2**40 or den >= 2**40:
        return 1.0, 1.0, 0.0
    scale, places = tick, 0
    while scale.denominator != 1 and places < 40:
        scale *= 10
        places += 1
    digits = max(places, len(str(den)) - 1 if den > 1 else 0)
    return float(num), float(den), min(1e15 / 10.0**digits, 2.0**51 / den)
