"""The replay's money in exact rational arithmetic: what the kernel asks where floats cannot tell.

The ledger follows the log of fills, lazily: it costs nothing until a question comes up.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from trading.instruments import Instrument
from trading.replay import state
from trading.replay.config import ReplayConfig
from trading.sizing import KellySizing, affordable, quantity
from trading.ticks import exact


@dataclass(frozen=True)
class OpenFill:
    """An open position's entry, exact."""

    qty: Fraction
    price: Fraction
    fee: Fraction


@dataclass
class ExactLedger:
    """Realised equity, open entries and closed pnl of a run.

    Attributes:
        cash: realised equity: initial cash, plus pnl of closed trades, less entry fees of open ones.
        open: entries of open positions by Symbol.
        closed_pnl: of the newest closed trades in order of exit, as many as Kelly sizing looks at.
        closed_trades: number of all closed trades.
    """

    config: ReplayConfig
    cash: Fraction
    open: dict[str, OpenFill] = field(default_factory=dict)
    closed_pnl: deque[Fraction] = field(default_factory=deque)
    closed_trades: int = 0

    @classmethod
    def start(cls, config: ReplayConfig) -> "ExactLedger":
        return cls(config, exact(config.initial_cash), {}, deque(maxlen=_lookback(config)))

    @property
    def open_notional(self) -> Fraction:
        return sum((fill.qty * fill.price for fill in self.open.values()), Fraction(0))

    def absorb(self, events: Any, symbols: Sequence[str]) -> None:
        """Book the fills among the log rows ``events``, whose ``symbol`` indexes ``symbols``."""
        slip = exact(self.config.costs.slippage_bps) / 10_000
        fee_rate = exact(self.config.costs.fees_bps) / 10_000
        for event in events:
            kind = int(event["kind"])
            if kind not in (state.ENTRY, state.EXIT):
                continue
            symbol, side, qty = symbols[int(event["symbol"])], int(event["side"]), exact(float(event["qty"]))
            raw = exact(float(event["raw"]))
            if kind == state.ENTRY:
                price = raw * (1 + side * slip)
                fee = fee_rate * qty * price
                self.cash -= fee
                self.open[symbol] = OpenFill(qty, price, fee)
            else:
                price = raw * (1 - side * slip) if event["slipped"] else raw
                fee = fee_rate * qty * price
                entry = self.open.pop(symbol)
                gross = side * qty * (price - entry.price)
                self.cash += gross - fee
                self.closed_pnl.append(gross - fee - entry.fee)
                self.closed_trades += 1

    def quantity(self, entry: float, stop: float, instrument: Instrument) -> float:
        """Quantity of one side armed now, by the run's own sizing; 0.0 = absent."""
        return quantity(
            self.config.sizing,
            entry=entry,
            stop=stop,
            equity=self.cash,
            instrument=instrument,
            closed_pnl=tuple(self.closed_pnl),
            closed_trades=self.closed_trades,
        )

    def affordable(self, qty: float, raw: float, instrument: Instrument) -> float:
        """``qty`` cut to the buying power there is now at a raw fill of ``raw``; 0.0 = dropped."""
        return affordable(
            qty,
            price=raw,
            equity=self.cash,
            max_leverage=self.config.max_leverage,
            open_notional=self.open_notional,
            instrument=instrument,
        )

    def dump(self) -> dict[str, Any]:
        """JSON-able and exact: rationals as ``"numerator/denominator"``."""
        return {
            "cash": str(self.cash),
            "open": {
                symbol: [str(fill.qty), str(fill.price), str(fill.fee)] for symbol, fill in sorted(self.open.items())
            },
            "closed_pnl": [str(pnl) for pnl in self.closed_pnl],
            "closed_trades": self.closed_trades,
        }

    @classmethod
    def load(cls, config: ReplayConfig, dumped: Mapping[str, Any]) -> "ExactLedger":
        return cls(
            config,
            Fraction(dumped["cash"]),
            {symbol: OpenFill(*map(Fraction, parts)) for symbol, parts in dumped["open"].items()},
            deque(map(Fraction, dumped["closed_pnl"]), maxlen=_lookback(config)),
            int(dumped["closed_trades"]),
        )


def nearest_level(open_: float, long_entry: float, short_entry: float) -> int:
    """1 where the long entry is nearer to the Open, -1 where the short one is, 0 at equal distance."""
    up, down = exact(long_entry) - exact(open_), exact(open_) - exact(short_entry)
    return (up < down) - (up > down)


def _lookback(config: ReplayConfig) -> int:
    return config.sizing.lookback if isinstance(config.sizing, KellySizing) else 0
