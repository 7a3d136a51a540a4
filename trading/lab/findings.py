"""What a sweep found, as figures that are stored and read again."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue

_Count = Annotated[int, Field(ge=0)]
_Share = Annotated[float, Field(ge=0, le=1)]

Figures = Mapping[str, FiniteFloat | None]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SharpeFindings(_Record):
    """See :mod:`trading.lab.deflated_sharpe`; Sharpe ratios per session, not annualised.

    Args:
        trials: distinct sets that traded.
        independent_trials: what they are worth, by their average correlation.
        trials_variance: of their Sharpe ratios.
        expected_maximum: Sharpe ratio of the best of so many worthless sets.
        deflated: against ``expected_maximum`` of all trials; ``deflated_independent``: of the independent ones.
        minimum_track_record: sessions until the ratio is above 0 with 95 %.
    """

    observations: _Count
    sharpe: FiniteFloat
    skew: FiniteFloat
    kurtosis: FiniteFloat
    trials: _Count
    independent_trials: FiniteFloat
    trials_variance: FiniteFloat
    expected_maximum: FiniteFloat
    probabilistic: _Share | None
    deflated: _Share | None
    deflated_independent: _Share | None
    minimum_track_record: FiniteFloat | None


class StabilityFindings(_Record):
    """See :class:`trading.lab.stability.Stability`."""

    neighbours: _Count
    alike: _Share | None
    earning: _Share | None
    plateau: FiniteFloat | None


class MonteCarloFindings(_Record):
    """See :class:`trading.lab.monte_carlo.MonteCarlo`."""

    runs: _Count
    trades: _Count
    actual_drawdown: FiniteFloat
    drawdown: Figures
    deeper: _Share
    actual_final: FiniteFloat
    final_equity: Figures
    probability_of_loss: _Share


class FillOrderFindings(_Record):
    """See :mod:`trading.lab.fill_order`; ``assumptions``: metrics by the order assumed inside a bar."""

    assumptions: Mapping[str, Figures]
    worst_expectancy: FiniteFloat | None


class SetFindings(_Record):
    """One set looked at closely; a part is None where the data does not allow it."""

    set: _Count
    values: Mapping[str, JsonValue]
    strategy_version: str
    config_hash: str
    metrics: Figures
    sharpe: SharpeFindings | None
    stability: StabilityFindings
    monte_carlo: MonteCarloFindings | None
    fill_order: FillOrderFindings


class OverfittingFindings(_Record):
    """See :class:`trading.lab.overfitting.Overfitting`."""

    pbo: _Share
    blocks: _Count
    splits: _Count
    variants: _Count
    median_logit: FiniteFloat
    slope: FiniteFloat | None
    intercept: FiniteFloat | None
    probability_of_loss: _Share


class WalkForwardFindings(_Record):
    """See :class:`trading.lab.walk_forward.WalkForward`."""

    folds: _Count
    sessions: _Count
    trades: _Count
    expectancy: FiniteFloat | None
    efficiency: FiniteFloat | None
    sharpe: FiniteFloat | None
    total_return: FiniteFloat


class SweepFindings(_Record):
    """All of robustness.json.

    Args:
        sets, distinct, candidates: tried; different in signals or settings; of these, with a trade and never without
            equity, which is what best, overfitting and walk-forward choose from.
        best: by the sweep's metric; None where no set has it. ``base``: the variant itself.
        missing: why a part is absent, by its name.
        against: what speaks against the finding, a sentence each; ``sound`` where nothing does and nothing is missing.
    """

    sweep: str
    variant: str
    label: str | None
    as_of: dt.date
    horizon: str
    first: dt.date
    sessions: _Count
    metric: str
    seed: _Count
    sets: _Count
    distinct: _Count
    candidates: _Count
    best: SetFindings | None
    base: SetFindings
    overfitting: OverfittingFindings | None
    walk_forward: WalkForwardFindings | None
    missing: Mapping[str, str]
    against: tuple[str, ...]

    @property
    def sound(self) -> bool:
        return not self.against and not self.missing

    def to_dict(self) -> dict[str, Any]:
        return {**self.model_dump(mode="json"), "sound": self.sound}
