"""The replay's money in exact rational arithmetic: what the kernel asks where floats cannot tell.

The ledger follows the log of closed trades, lazily: it costs nothing until a question comes up.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from operator import mul
from typing import Any

import numpy as np

from trading.instruments import Instrument
from trading.replay import state
from trading.replay.config import ReplayConfig
from trading.sizing import KellySizing, affordable, quantity
from trading.ticks import exact

_MOST_PLACES = 9
_DIGITS = 1e15  # decimals of up to 15 digits and floats correspond one to one
_INT64 = 2.0**62


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
        settled: initial cash, plus pnl of closed trades.
        open: entries of open positions by Symbol.
        closed_pnl: of the newest closed trades in order of exit, as many as Kelly sizing looks at.
        closed_trades: number of all closed trades.
    """

    config: ReplayConfig
    settled: Fraction
    open: dict[str, OpenFill] = field(default_factory=dict)
    closed_pnl: deque[Fraction] = field(default_factory=deque)
    closed_trades: int = 0

    @classmethod
    def start(cls, config: ReplayConfig) -> "ExactLedger":
        return cls(config, exact(config.initial_cash), {}, deque(maxlen=_lookback(config)))

    @property
    def cash(self) -> Fraction:
        """Realised equity: what is settled less the entry fees of open positions."""
        return self.settled - sum((fill.fee for fill in self.open.values()), Fraction(0))

    @property
    def open_notional(self) -> Fraction:
        return sum((fill.qty * fill.price for fill in self.open.values()), Fraction(0))

    def absorb(self, log: state.Log, begin: int, end: int) -> None:
        """Book the closed trades [begin, end) of the log."""
        if begin == end:
            return
        side, reason = log.whole[state.T_SIDE, begin:end], log.whole[state.T_REASON, begin:end]
        qty, bought, sold = (log.money[i, begin:end] for i in (state.T_QTY, state.T_ENTRY_RAW, state.T_EXIT_RAW))
        pnl, unit = exact_pnl(self.config, side, qty, bought, sold, reason != state.TP)
        self.settled += sum(pnl) * unit
        kept = self.closed_pnl.maxlen or 0
        self.closed_pnl.extend(one * unit for one in pnl[max(len(pnl) - kept, 0) :])
        self.closed_trades += end - begin

    def hold(self, positions: Iterable[tuple[str, int, float, float]]) -> None:
        """What is open now: (Symbol, side, quantity, raw entry price)."""
        slip, fee_rate = _costs(self.config)
        self.open = {}
        for symbol, side, qty, raw in positions:
            price = exact(raw) * (1 + side * slip)
            self.open[symbol] = OpenFill(exact(qty), price, fee_rate * exact(qty) * price)

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
        fills = {symbol: OpenFill(*map(Fraction, parts)) for symbol, parts in dumped["open"].items()}
        return cls(
            config,
            Fraction(dumped["cash"]) + sum((fill.fee for fill in fills.values()), Fraction(0)),
            fills,
            deque(map(Fraction, dumped["closed_pnl"]), maxlen=_lookback(config)),
            int(dumped["closed_trades"]),
        )


def exact_pnl(
    config: ReplayConfig, side: Any, qty: Any, entry_raw: Any, exit_raw: Any, slipped: Any
) -> tuple[list[Any], Fraction]:
    """Pnl of trades (arrays), as counts of a unit, and that unit.

    With prices of a decimals, quantities of b, and the two rates s/t and f/g, a pnl is a whole number of
    1 / (10^(a + b) * t * g); where these are no such numbers of moderate size it is reckoned trade by trade.
    """
    slip, fee_rate = _costs(config)
    prices, places = _as_whole(np.concatenate([entry_raw, exit_raw]))
    quantities, qty_places = _as_whole(qty)
    t, g, f = slip.denominator, fee_rate.denominator, fee_rate.numerator
    small = prices is not None and 4.0 * np.abs(prices).max() * t * (g + f) < _INT64
    if small and prices is not None and quantities is not None:
        n = len(qty)
        entry = prices[:n] * (t + side * slip.numerator)
        exit_ = prices[n:] * (t - side * slipped * slip.numerator)
        each = side * (exit_ - entry) * g - f * (exit_ + entry)
        unit = Fraction(1, 10 ** (places + qty_places) * t * g)
        return list(map(mul, quantities.tolist(), each.tolist())), unit
    counts: list[Any] = []
    for i in range(len(qty)):
        towards, amount = int(side[i]), exact(float(qty[i]))
        bought = exact(float(entry_raw[i])) * (1 + towards * slip)
        sold = exact(float(exit_raw[i])) * (1 - towards * slip * int(slipped[i]))
        counts.append(amount * (towards * (sold - bought) - fee_rate * (sold + bought)))
    return counts, Fraction(1)


def nearest_level(open_: float, long_entry: float, short_entry: float) -> int:
    """1 where the long entry is nearer to the Open, -1 where the short one is, 0 at equal distance."""
    up, down = exact(long_entry) - exact(open_), exact(open_) - exact(short_entry)
    return (up < down) - (up > down)


def _as_whole(values: Any) -> tuple[Any, int]:
    """Values as int64 counts of 10^-places, the fewest places that show them as their shortest reprs do; None = none do."""
    for places in range(_MOST_PLACES + 1):
        scale = 10.0**places
        counts = np.rint(values * scale)
        if np.abs(counts).max() >= _DIGITS:
            return None, 0
        if np.array_equal(counts / scale, values):
            return counts.astype(np.int64), places
    return None, 0


def _costs(config: ReplayConfig) -> tuple[Fraction, Fraction]:
    """(slippage, fee rate) as shares."""
    return exact(config.costs.slippage_bps) / 10_000, exact(config.costs.fees_bps) / 10_000


def _lookback(config: ReplayConfig) -> int:
    return config.sizing.lookback if isinstance(config.sizing, KellySizing) else 0
