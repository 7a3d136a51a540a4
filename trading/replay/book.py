"""Book: the replay's rules as bars arrive, for a simulated broker.

The same kernel as :func:`trading.replay.replay`, without its loop: bars are fed in steps, setups come already
sized, and the state can be stored between any two calls.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import polars as pl

from trading.errors import DataError
from trading.instruments import Instrument
from trading.replay import state
from trading.replay.config import ReplayConfig
from trading.replay.contracts import check_columns, check_instruments, violation
from trading.replay.exact import ExactLedger
from trading.replay.machine import Machine, new_log, new_queue, new_symbols
from trading.replay.market import Bars, SignalArrays, read_bars, with_session_flags
from trading.replay.setups import (
    ArmedSetup,
    BookEvent,
    EventKind,
    Position,
    levels_of,
    setup_from_json,
    setup_to_json,
    to_instant,
    to_micros,
)
from trading.replay.state import Curve
from trading.ticks import round_to_tick

__all__ = ["ArmedSetup", "Book", "BookEvent", "Position"]

_CONTRACT = "book.bars"
_KINDS: dict[int, EventKind] = {
    state.ENTRY: "entry",
    state.EXIT: "exit",
    state.REJECTED: "rejected",
    state.EXPIRED: "expired",
}
_RECORD = [name for name in state.SYMBOL.names or () if name.startswith("p_") and name != "p_last"] + [
    "side", "qty", "sl", "tp", "setup", "entry_time", "entry_raw", "entry_price", "entry_fee", "entry_bar",
    "entry_session",
]  # fmt: skip

ArmOutcome = Literal["armed", "replaced", "ignored_in_position", "expired", "rejected"]


@dataclass
class _Seen:
    """What is known of a Symbol's bars so far."""

    last_ts: int
    last_close: float
    session: dt.date
    session_number: int
    session_ended: bool
    bars: int


class Book:
    """Open positions and pending setups of one run, advanced bar by bar by the replay rules.

    Args:
        config: as for a replay. Setups come sized, so ``sizing`` serves :meth:`quantity` only.
        instruments: by Symbol; None = defaults for every Symbol.
        state: what :meth:`state` gave, to go on from there.

    Raises:
        DataError: ``state`` was stored under another config, or cannot be read.
    """

    def __init__(
        self,
        config: ReplayConfig,
        instruments: Mapping[str, Instrument] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self._config = config
        self._rules = config.model_dump(mode="json")
        self._instruments = instruments
        self._machine = Machine.start(config, [], [])
        self._machine.run[0]["tell_expired"] = 1
        self._seen: dict[str, _Seen] = {}
        self._setups: dict[str, ArmedSetup] = {}  # pending or open, by Symbol
        self._last_ts: int | None = None
        if state is not None:
            self._restore(state)

    def advance(self, bars: pl.DataFrame) -> list[BookEvent]:
        """Exits, entries and expiry on ``bars``, in order of execution.

        Args:
            bars: the replay's bars and a Boolean column ``session_end``, true on a Symbol's last bar of a session.
                All timestamps must be later than those seen before.

        Raises:
            ContractViolation: the bars break the replay's contract, come late, or ``session_end`` contradicts
                ``session``. Nothing has changed then.
        """
        check_columns(bars, _CONTRACT, {"session_end": pl.Boolean()})
        if bars["session_end"].null_count():
            raise violation(
                _CONTRACT, "null", "session_end may not be null", bars.filter(pl.col("session_end").is_null())
            )
        arrays = read_bars(bars, _CONTRACT)
        check_instruments(arrays.symbols, self._instruments, _CONTRACT)
        if not arrays.symbols:
            return []
        days = bars["session"].gather(arrays.start[:-1]).to_list()
        flags = bars["session_end"].to_numpy()
        numbers = self._check_continuity(bars, flags, arrays, days)
        self._admit(arrays.symbols)
        machine = self._machine
        index = np.searchsorted(np.array(machine.symbols, dtype=object), np.array(arrays.symbols, dtype=object))
        before = np.array([self._seen[s].bars if s in self._seen else 0 for s in arrays.symbols], dtype=np.int64)
        machine.sym["bar_base"][index] = before - arrays.start[:-1]
        machine.sym["session_base"][index] = numbers
        placed = with_session_flags(arrays, flags)
        machine.place(placed, index)
        machine.new_call(new_log(len(index)))
        none = SignalArrays(np.empty(0, np.int64), np.empty((0, 6)), np.zeros(len(index) + 1, np.int64))
        queue = new_queue(len(arrays.market.grid), len(machine.symbols))
        machine.advance(placed, index, none, queue, Curve(np.empty(0), np.empty(0), np.empty((2, 0), np.int64)))
        ended = np.cumsum(flags) - flags  # sessions that ended before each row
        final = arrays.start[1:] - 1
        last_days = bars["session"].gather(final).to_list()
        for i, symbol in enumerate(arrays.symbols):
            row = int(final[i])
            self._seen[symbol] = _Seen(
                last_ts=int(arrays.ts[row]),
                last_close=float(arrays.market.close[row]),
                session=last_days[i],
                session_number=int(numbers[i] + ended[row] - ended[arrays.start[i]]),
                session_ended=bool(flags[row]),
                bars=int(before[i] + arrays.start[i + 1] - arrays.start[i]),
            )
        self._last_ts = int(arrays.ts[final].max())
        return self._take()

    def arm(self, setup: ArmedSetup) -> ArmOutcome:
        """Make ``setup`` its Symbol's pending one, as at the end of its bar.

        Returns:
            ``armed``; ``replaced`` (armed in place of an older one); ``ignored_in_position``; ``rejected``: no side
            has a quantity; ``expired``: its validity ended with this very bar. In the last two cases an older
            setup is gone.

        Raises:
            DataError: ``setup_time`` is not the Symbol's last seen bar, or levels are incomplete, off the tick, or
                on the wrong side of each other.
        """
        from trading.replay import rules

        seen = self._seen.get(setup.symbol)
        where = f"setup {setup.setup_id!r} of {setup.symbol}"
        if seen is None or seen.last_ts != to_micros(setup.setup_time) or seen.session != setup.session:
            last = "none" if seen is None else f"{to_instant(seen.last_ts)} of session {seen.session}"
            raise DataError(
                f"{where}: it must stand on the last seen bar, which is {last}; "
                f"it says {setup.setup_time} of session {setup.session}"
            )
        if setup.valid_sessions < 0:
            raise DataError(f"{where}: valid_sessions must be at least 0, got {setup.valid_sessions}")
        self._check_levels(setup, where)
        machine, who = self._machine, self._machine.symbols.index(setup.symbol)
        if machine.doing[who] == state.OPEN:
            return "ignored_in_position"
        older = self._setups.pop(setup.symbol, None)
        expires = seen.session_number + setup.valid_sessions
        over = seen.session_ended and seen.session_number >= expires
        long, short = (0.0, 0.0) if over else (setup.qty_long, setup.qty_short)
        levels = np.array([np.nan if level is None else level for level in levels_of(setup)], dtype=np.float64)
        armed = rules.arm(
            machine.sym[who],
            machine.doing,
            who,
            seen.last_ts,
            expires,
            levels,
            float(long),
            float(short),
        )
        if armed:
            self._setups[setup.symbol] = setup
            return "armed" if older is None else "replaced"
        return "expired" if over and max(setup.qty_long, setup.qty_short) > 0 else "rejected"

    def cancel(self, setup_id: str) -> bool:
        """Drop the pending setup of that id; False if there is none (an open position is none)."""
        for who, symbol in enumerate(self._machine.symbols):
            pending = self._machine.doing[who] == state.PENDING
            if pending and self._setups[symbol].setup_id == setup_id:
                self._machine.doing[who] = state.FLAT
                del self._setups[symbol]
                return True
        return False

    def set_exits(self, setup_id: str, stop: float | None, target: float | None) -> bool:
        """Put the exits of the open position of that setup at these levels from the next bar on; None = none of the kind.

        False where there is no such position.

        Raises:
            DataError: a level is not on the tick grid.
        """
        machine = self._machine
        for who, symbol in enumerate(machine.symbols):
            if machine.doing[who] == state.OPEN and self._setups[symbol].setup_id == setup_id:
                tick = self._instrument(symbol).tick_size
                for level in (stop, target):
                    if level is not None and round_to_tick(level, tick, "up") != level:
                        raise DataError(f"exits of setup {setup_id!r}: {level} is not on the tick grid of {tick}")
                machine.sym[who]["sl"] = np.nan if stop is None else stop
                machine.sym[who]["tp"] = np.nan if target is None else target
                return True
        return False

    def flatten(
        self,
        symbol: str | None = None,
        price_at: Literal["last_close"] = "last_close",
        reason: str = "flatten",
    ) -> list[BookEvent]:
        """Close the position of ``symbol`` (None = all, in order of Symbol) at its last Close, with costs.

        Pending setups stay. The events are at the Symbol's last seen bar and carry ``reason``.
        """
        from trading.replay import rules

        if price_at != "last_close":
            raise DataError(f"flatten knows the price 'last_close' only, got {price_at!r}")
        machine = self._machine
        machine.new_call(new_log(len(machine.symbols)))
        for who, name in enumerate(machine.symbols):
            if machine.doing[who] == state.OPEN and symbol in (None, name):
                seen = self._seen[name]
                rules.close(
                    machine.sym[who], machine.doing, machine.run[0], machine.log, who, seen.last_close,
                    state.FLATTENED, seen.last_ts, seen.bars - 1,
                )  # fmt: skip
        return [replace(event, reason=reason) for event in self._take()]

    def quantity(self, symbol: str, entry: float, stop: float) -> float:
        """What the config's sizing gives now for tick-rounded levels: exact, 0.0 = side absent."""
        return self._machine.ledger.quantity(entry, stop, self._instrument(symbol))

    def realised(self) -> float:
        """Initial cash, plus pnl of closed trades, less entry fees of open ones."""
        return float(self._machine.ledger.cash)

    def equity(self) -> float:
        """Realised equity and open positions marked at their last Close."""
        return self.realised() + sum(position.unrealised for position in self.positions())

    def positions(self) -> list[Position]:
        """Open positions in order of Symbol."""
        return [self._position(who) for who in np.flatnonzero(self._machine.doing == state.OPEN).tolist()]

    def pending(self) -> list[ArmedSetup]:
        """Pending setups in order of Symbol."""
        symbols = self._machine.symbols
        return [self._setups[symbols[who]] for who in np.flatnonzero(self._machine.doing == state.PENDING).tolist()]

    def last_timestamp(self) -> dt.datetime | None:
        """Start of the latest bar seen, UTC."""
        return None if self._last_ts is None else to_instant(self._last_ts)

    def state(self) -> dict[str, Any]:
        """All there is to know, for JSON; ``Book(config, instruments, state)`` goes on exactly from here."""
        machine = self._machine
        symbols = {}
        for who, symbol in enumerate(machine.symbols):
            doing = int(machine.doing[who])
            record = _record(machine.sym[who]) if doing != state.FLAT else {}
            seen = self._seen[symbol]
            symbols[symbol] = {
                "doing": doing,
                "record": record,
                "setup": setup_to_json(self._setups[symbol]) if symbol in self._setups else None,
                "seen": {**vars(seen), "session": seen.session.isoformat()},
            }
        return {
            "version": 1,
            "config": self._rules,
            "last_ts": self._last_ts,
            "ledger": machine.ledger.dump(),
            "symbols": symbols,
        }

    def _restore(self, stored: Mapping[str, Any]) -> None:
        if stored.get("version") != 1:
            raise DataError(f"a stored book must be of version 1, got {stored.get('version')!r}")
        if stored["config"] != self._rules:
            raise DataError(f"the book was stored under another config: {stored['config']}")
        names = sorted(stored["symbols"])
        check_instruments(names, self._instruments, _CONTRACT)
        self._admit(names)
        machine = self._machine
        machine.ledger = ExactLedger.load(self._config, stored["ledger"])
        self._last_ts = stored["last_ts"]
        for who, symbol in enumerate(names):
            part = stored["symbols"][symbol]
            machine.doing[who] = part["doing"]
            for name in _RECORD if part["record"] else ():
                value = part["record"][name]
                machine.sym[who][name] = np.nan if value is None else value
            if part["setup"] is not None:
                self._setups[symbol] = setup_from_json(part["setup"])
            self._seen[symbol] = _Seen(**{**part["seen"], "session": dt.date.fromisoformat(part["seen"]["session"])})
        machine.run[0]["open"] = int((machine.doing == state.OPEN).sum())
        self._true_up_cash()

    def _instrument(self, symbol: str) -> Instrument:
        return check_instruments([symbol], self._instruments, _CONTRACT)[0]

    def _admit(self, symbols: list[str]) -> None:
        """Give new Symbols their place in ascending order."""
        machine = self._machine
        known = set(machine.symbols)
        new = [symbol for symbol in symbols if symbol not in known]
        if not new:
            return
        merged = sorted([*machine.symbols, *new])
        instruments = check_instruments(merged, self._instruments, _CONTRACT)
        sym, doing = new_symbols(instruments, self._config), np.zeros(len(merged), dtype=np.uint8)
        place = {symbol: i for i, symbol in enumerate(merged)}
        for who, symbol in enumerate(machine.symbols):
            sym[place[symbol]] = machine.sym[who]
            doing[place[symbol]] = machine.doing[who]
        machine.symbols, machine.instruments, machine.sym, machine.doing = merged, instruments, sym, doing

    def _check_continuity(self, bars: pl.DataFrame, flags: Any, arrays: Bars, days: list[dt.date]) -> Any:
        """Refuse bars that do not go on where the last ones ended; each Symbol's first session number."""
        if self._last_ts is not None and int(arrays.ts.min()) <= self._last_ts:
            late = bars.filter(pl.col("Timestamp").to_physical() <= self._last_ts)
            raise violation(_CONTRACT, "late", f"bars must be later than {self.last_timestamp()}", late)
        inner = np.ones(len(flags), dtype=bool)
        inner[arrays.start[1:] - 1] = False
        last = np.zeros(len(flags), dtype=bool)
        last[arrays.market.session_last] = True
        wrong = inner & (flags != last)
        if wrong.any():
            raise violation(
                _CONTRACT,
                "session_end",
                "session_end must be true on a Symbol's last bar of a session, and only there",
                bars.with_row_index("row").filter(wrong),
            )
        numbers = np.zeros(len(arrays.symbols), dtype=np.int64)
        for i, symbol in enumerate(arrays.symbols):
            seen = self._seen.get(symbol)
            if seen is None:
                continue
            if days[i] < seen.session or (days[i] == seen.session) == seen.session_ended:
                ended = "has" if seen.session_ended else "has not"
                raise violation(
                    _CONTRACT,
                    "session_end",
                    f"{symbol} goes on with session {days[i]} after a bar of {seen.session} which {ended} ended it",
                )
            numbers[i] = seen.session_number + (1 if seen.session_ended else 0)
        return numbers

    def _check_levels(self, setup: ArmedSetup, where: str) -> None:
        tick = self._instrument(setup.symbol).tick_size
        long = (setup.long_entry, setup.sl_long, setup.tp_long)
        short = (setup.short_entry, setup.sl_short, setup.tp_short)
        for side, qty, (entry, stop, target) in ((1, setup.qty_long, long), (-1, setup.qty_short, short)):
            name = "long" if side > 0 else "short"
            if not (np.isfinite(qty) and qty >= 0):
                raise DataError(f"{where}: qty_{name} must be finite and at least 0, got {qty}")
            if qty == 0:
                continue
            if entry is None or stop is None:
                raise DataError(f"{where}: the {name} side has a quantity, it needs an entry and a stop")
            for level in (entry, stop, target):
                if level is not None and round_to_tick(level, tick, "up") != level:
                    raise DataError(f"{where}: level {level} of the {name} side is not on the tick grid of {tick}")
            # rounding can bring a target down to its entry, hence < and not <= there
            if entry <= 0 or side * (entry - stop) <= 0 or (target is not None and side * (target - entry) < 0):
                raise DataError(
                    f"{where}: the {name} side is out of order: entry {entry}, stop {stop}, target {target}"
                )

    def _take(self) -> list[BookEvent]:
        """Book a finished call's log in the exact ledger and tell it with the callers' ids."""
        machine = self._machine
        machine.catch_up()
        self._true_up_cash()
        told = []
        counts = dict.fromkeys((state.ENTRY, state.EXIT, state.REJECTED, state.EXPIRED), 0)
        for kind in machine.log.order[: int(machine.run[0]["order"])].tolist():
            drop = kind in (state.REJECTED, state.EXPIRED)
            number = counts[state.REJECTED] if drop else counts[kind]
            counts[state.REJECTED if drop else kind] += 1
            told.append(self._dropped(number) if drop else self._filled(kind, number))
        return told

    def _dropped(self, number: int) -> BookEvent:
        """The event of a drop in the log; the setup is gone."""
        kind, reason, who, side, time, _ = self._machine.log.drops[:, number].tolist()
        symbol = self._machine.symbols[who]
        return BookEvent(
            kind=_KINDS[kind],
            setup_id=self._setups.pop(symbol).setup_id,
            symbol=symbol,
            side=side,
            time=to_instant(time),
            price=0.0,
            qty=0.0,
            fee=0.0,
            reason=state.REASONS[reason],
        )

    def _filled(self, kind: int, number: int) -> BookEvent:
        """The event of the log's entry or exit of that number; after an exit the setup is gone."""
        whole, money, exited = self._machine.log.whole, self._machine.log.money, kind == state.EXIT
        closed = whole[state.T_ENTRY, : int(self._machine.run[0]["closed"])]
        trade = [number] if exited else np.flatnonzero(closed == number).tolist()
        if trade:
            who, side = int(whole[state.T_SYMBOL, trade[0]]), int(whole[state.T_SIDE, trade[0]])
            rows = (
                (state.T_EXIT_PRICE, state.T_EXIT_FEE, state.T_EXIT_TIME)
                if exited
                else (state.T_ENTRY_PRICE, state.T_ENTRY_FEE, state.T_ENTRY_TIME)
            )
            qty, price, fee = (float(money[row, trade[0]]) for row in (state.T_QTY, *rows[:2]))
            time = int(whole[rows[2], trade[0]])
        else:
            sym = self._machine.sym
            who = int(np.flatnonzero((self._machine.doing == state.OPEN) & (sym["entry"] == number))[0])
            side, time = int(sym["side"][who]), int(sym["entry_time"][who])
            qty, price, fee = (float(sym[name][who]) for name in ("qty", "entry_price", "entry_fee"))
        symbol = self._machine.symbols[who]
        setup = self._setups.pop(symbol) if exited else self._setups[symbol]
        return BookEvent(
            kind=_KINDS[kind],
            setup_id=setup.setup_id,
            symbol=symbol,
            side=side,
            time=to_instant(time),
            price=price,
            qty=qty,
            fee=fee,
            reason=state.REASONS[int(whole[state.T_REASON, number])] if exited else state.REASONS[state.FILLED],
        )

    def _true_up_cash(self) -> None:
        """Set the kernel's realised equity to the exact one's nearest pair of floats."""
        r, cash = self._machine.run[0], self._machine.ledger.cash
        r["cash"] = float(cash)
        r["carry"] = float(cash - Fraction(float(cash)))
        r["cash_error"] = 1e-15 * abs(float(cash))
        r["notional"] = float(self._machine.ledger.open_notional)
        r["notional_error"] = 1e-15 * r["notional"]

    def _position(self, who: int) -> Position:
        y, symbol = self._machine.sym[who], self._machine.symbols[who]
        setup, side, qty = self._setups[symbol], int(y["side"]), float(y["qty"])
        entry_price, last_close = float(y["entry_price"]), self._seen[symbol].last_close
        return Position(
            setup_id=setup.setup_id,
            symbol=symbol,
            setup_time=setup.setup_time,
            side=side,
            qty=qty,
            entry_time=to_instant(int(y["entry_time"])),
            entry_price=entry_price,
            entry_fee=float(y["entry_fee"]),
            stop=_plain(y["sl"]),
            target=_plain(y["tp"]),
            last_close=last_close,
            unrealised=side * (qty * (last_close - entry_price)),
        )


def _record(y: Any) -> dict[str, int | float | None]:
    """What is stored of a Symbol that is not flat, as JSON numbers; NaN as null."""
    values = dict(zip(state.SYMBOL.names or (), y.item(), strict=True))
    return {name: None if values[name] != values[name] else values[name] for name in _RECORD}


def _plain(value: Any) -> int | float | None:
    """A numpy scalar as a JSON number; NaN as null."""
    if isinstance(value, np.integer):
        return int(value)
    return None if np.isnan(value) else float(value)
