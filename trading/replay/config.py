"""What a replay is told besides bars and signals: cash, costs, sizing, and how long things live."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from trading.sizing import RiskSizing, Sizing

_BasisPoints = Annotated[float, Field(ge=0, lt=10_000, allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Costs(BaseModel):
    """Trading costs.

    Args:
        fees_bps: of quantity times fill price, on each side.
        slippage_bps: of the price, against the trader, on entries and on every exit but the target.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fees_bps: _BasisPoints = 0.0
    slippage_bps: _BasisPoints = 0.0


class ReplayConfig(BaseModel):
    """Settings of a replay, validated at construction (pydantic.ValidationError names the field).

    Args:
        initial_cash: in currency.
        sizing: one of the modes of :mod:`trading.sizing`, chosen by ``mode``.
        exit_at_session_end: close what is open at the Close of the Symbol's last bar of a session.
        valid_sessions: sessions of the Symbol after its own that a setup lives to the end of; 0 = to the end
            of its own.
        max_hold_sessions: sessions of the Symbol, the entry's counted, at whose end a position is closed;
            None = no limit.
        max_leverage: open notional allowed per unit of realised equity.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    initial_cash: _Positive = 10_000.0
    costs: Costs = Costs()
    sizing: Sizing = RiskSizing(risk_pct=1.0, max_pos_pct=20.0)
    exit_at_session_end: bool = True
    valid_sessions: Annotated[int, Field(ge=0, le=100_000)] = 0
    max_hold_sessions: Annotated[int, Field(ge=1, le=100_000)] | None = None
    max_leverage: _Positive = 1.0
