"""How much to trade: the four sizing modes, in exact arithmetic.

This module is the one authority on quantities: the replay, the simulated broker and order batches all end
here. Floats are read as the decimals that their shortest repr shows (:func:`trading.ticks.exact`), everything
in between is rational arithmetic, and the result is the float nearest to a whole number of lots. Formulas:
docs of the replay rules.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from trading.errors import DataError
from trading.instruments import Instrument
from trading.ticks import exact

Number = float | int | Fraction
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Sizing(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    equity: Positive | None = None
    """Equity to size by, in currency; None = realised equity at the moment of sizing."""


class FixedSizing(_Sizing):
    """``qty`` units each time, as given: not floored to the lot; absent where under ``min_qty``."""

    mode: Literal["fixed"] = "fixed"
    qty: Positive


class PctOfEquitySizing(_Sizing):
    """A notional of ``pos_pct`` percent of equity at the entry level."""

    mode: Literal["pct_of_equity"] = "pct_of_equity"
    pos_pct: Positive


class RiskSizing(_Sizing):
    """``risk_pct`` percent of equity lost at the stop, at most ``max_pos_pct`` percent of notional."""

    mode: Literal["risk"] = "risk"
    risk_pct: Positive
    max_pos_pct: Positive


class KellySizing(_Sizing):
    """Risk per trade by the Kelly fraction of the run's own closed trades.

    Args:
        lookback: closed trades looked at, the newest.
        min_trades: with fewer closed trades in the whole run the risk is ``min_pct``, whatever their outcome.
        fraction: of the Kelly fraction that is used, e.g. 0.5.
        min_pct, max_pct: bounds of the risk per trade, percent of equity.
        max_pos_pct: cap of the notional, percent of equity.
    """

    mode: Literal["kelly"] = "kelly"
    lookback: Annotated[int, Field(ge=1)]
    min_trades: Annotated[int, Field(ge=1)]
    fraction: Positive
    min_pct: NotNegative
    max_pct: Positive
    max_pos_pct: Positive

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_pct > self.max_pct:
            raise ValueError(f"min_pct ({self.min_pct}) must not exceed max_pct ({self.max_pct})")
        return self


Sizing = Annotated[FixedSizing | PctOfEquitySizing | RiskSizing | KellySizing, Field(discriminator="mode")]


def kelly_pct(sizing: KellySizing, closed_pnl: Sequence[Number], closed_trades: int | None = None) -> Fraction:
    """Percent of equity to risk; 0 when the Kelly fraction is not positive.

    Args:
        closed_pnl: pnl of closed trades in order of exit; the last ``lookback`` of them count.
        closed_trades: number of closed trades of the whole run, where ``closed_pnl`` is only its tail.
    """
    count = len(closed_pnl) if closed_trades is None else closed_trades
    if count < sizing.min_trades:
        return exact(sizing.min_pct)
    window = [exact(pnl) for pnl in closed_pnl[-sizing.lookback :]]
    wins = [pnl for pnl in window if pnl > 0]
    losses = [-pnl for pnl in window if pnl <= 0]
    if not wins:
        return Fraction(0)
    share = Fraction(len(wins), len(window))
    kelly = share
    if losses and sum(losses) > 0:
        ratio = Fraction(sum(wins), len(wins)) / Fraction(sum(losses), len(losses))
        kelly = share - (1 - share) / ratio
    if kelly <= 0:
        return Fraction(0)
    return min(exact(sizing.max_pct), max(exact(sizing.min_pct), 100 * exact(sizing.fraction) * kelly))


def quantity(
    sizing: FixedSizing | PctOfEquitySizing | RiskSizing | KellySizing,
    *,
    entry: float,
    stop: float,
    equity: Number,
    instrument: Instrument,
    closed_pnl: Sequence[Number] = (),
    closed_trades: int | None = None,
) -> float:
    """Quantity of one side of a setup; 0.0 (side absent) when it comes out under ``min_qty``.

    Args:
        entry, stop: tick-rounded levels, in currency.
        equity: realised equity now; ``sizing.equity`` goes first where it is given.
        closed_pnl, closed_trades: for Kelly, see :func:`kelly_pct`.

    Raises:
        DataError: ``entry`` is not positive or equals ``stop``.
    """
    if isinstance(sizing, FixedSizing):
        return sizing.qty if exact(sizing.qty) >= exact(instrument.min_qty) else 0.0
    level = exact(entry)
    distance = abs(level - exact(stop))
    if level <= 0 or distance == 0:
        raise DataError(f"cannot size an entry of {entry!r} with a stop of {stop!r}: they must differ and be positive")
    funds = exact(equity if sizing.equity is None else sizing.equity)
    lot = exact(instrument.lot_size)
    if isinstance(sizing, PctOfEquitySizing):
        amount = funds * exact(sizing.pos_pct) / 100 / level
    else:
        risk_pct = (
            kelly_pct(sizing, closed_pnl, closed_trades) if isinstance(sizing, KellySizing) else exact(sizing.risk_pct)
        )
        amount = min(funds * risk_pct / 100 / distance, funds * exact(sizing.max_pos_pct) / 100 / level)
    return _tradable(amount // lot * lot, instrument)


def scaled(qty: float, factor: float, instrument: Instrument) -> float:
    """``qty`` times a factor from 0 to 1, floored to the lot; 0.0 where that leaves less than ``min_qty``."""
    if factor == 1:
        return qty
    lot = exact(instrument.lot_size)
    return _tradable(exact(qty) * exact(factor) // lot * lot, instrument)


def affordable(
    qty: float,
    *,
    price: Number,
    equity: Number,
    max_leverage: float,
    open_notional: Number,
    instrument: Instrument,
) -> float:
    """``qty`` cut to buying power at ``price``; 0.0 when that leaves less than the instrument's ``min_qty``.

    Args:
        equity: realised equity now.
        open_notional: sum of quantity times entry fill over the open positions.
    """
    lot = exact(instrument.lot_size)
    room = exact(equity) * exact(max_leverage) - exact(open_notional)
    return _tradable(min(exact(qty), room / exact(price) // lot * lot), instrument)


def _tradable(amount: Fraction, instrument: Instrument) -> float:
    return float(amount) if amount > 0 and amount >= exact(instrument.min_qty) else 0.0
