"""Thresholds of promotion, from YAML.

No threshold has a default: a line that was forgotten is an error and never a gate that is off. A gate is off
    only
where the file says ``null``.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from trading.promotion.horizons import Horizon

_Share = Annotated[float, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=0)]
_AtLeastOne = Annotated[int, Field(ge=1)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExperimentToLab(_Section):
    """Contract and causality checks always have to pass; and so many horizons be replayed without error."""

    min_replays: _AtLeastOne


class HorizonThresholds(_Section):
    """Of one horizon; None = that gate is off.

    Args:
        min_trades: at least.
        min_profit_factor: at least; a replay that lost nothing passes.
        min_expectancy: above, in currency per trade after costs.
        max_drawdown: at most, fraction of the peak.
        min_sharpe: at least, annualised.
        min_win_rate_bound: at least, Wilson's lower bound at 95 %.
    """

    min_trades: _AtLeastOne
    min_profit_factor: _NotNegative | None
    min_expectancy: FiniteFloat | None
    max_drawdown: _Share | None
    min_sharpe: FiniteFloat | None
    min_win_rate_bound: _Share | None


class LabToPaper(_Section):
    """What a version must show to be traded on paper; None = that gate is off.

    Args:
        horizons: thresholds by horizon; the horizons named are required.
        allow_partial_horizons: judged on the data there is, even where it does not reach back.
        min_session_coverage: share of a horizon's sessions with data, for all other horizons.
        min_deflated_sharpe, min_walk_forward_expectancy (above), max_pbo, min_neighbourhood,
            min_fill_order_expectancy (above), max_engine_pnl_difference: see
            :mod:`trading.promotion.evidence`.
        data_quality: whether every partition used must have green checks.
    """

    horizons: Annotated[dict[Horizon, HorizonThresholds], Field(min_length=1)]
    allow_partial_horizons: tuple[Horizon, ...]
    min_session_coverage: _Share
    min_deflated_sharpe: _Share | None
    min_walk_forward_expectancy: FiniteFloat | None
    max_pbo: _Share | None
    min_neighbourhood: _Share | None
    min_fill_order_expectancy: FiniteFloat | None
    max_engine_pnl_difference: _NotNegative | None
    data_quality: bool


class PaperToLive(_Section):
    """All of them, and the approval of a named human, which no policy can switch off."""

    min_sessions: _AtLeastOne
    min_trades: _AtLeastOne
    max_missed_trades: _Count
    max_extra_trades: _Count
    max_price_difference_bps: _NotNegative
    max_slippage_excess_bps: _NotNegative


class SymbolThresholds(_Section):
    """Which Symbols may trade live: judged on their trades over one horizon."""

    horizon: Horizon
    min_trades: _AtLeastOne
    min_expectancy: FiniteFloat


class Demotion(_Section):
    """``red_sessions``: so many sessions in a row without green standing gates lead one stage down."""

    red_sessions: _AtLeastOne


class PromotionPolicy(_Section):
    """One policy; ``paper_to_live: null`` permits no live trading at all.

    Args:
        name: shown with every decision.
        warning: shown with every decision where not None.
    """

    name: Annotated[str, Field(min_length=1)]
    warning: str | None
    experiment_to_lab: ExperimentToLab
    lab_to_paper: LabToPaper
    paper_to_live: PaperToLive | None
    live_symbols: SymbolThresholds | None
    demotion: Demotion

    @model_validator(mode="after")
    def _partial_only_without_live(self) -> "PromotionPolicy":
        if self.paper_to_live is not None:
            if self.lab_to_paper.allow_partial_horizons:
                raise ValueError(
                    "allow_partial_horizons must be empty where paper_to_live is permitted: "
                    "a horizon without enough data is never green on the way to live"
                )
            if self.live_symbols is None:
                raise ValueError("live_symbols is needed where paper_to_live is permitted")
        return self
