"""What a decision stands on: figures, and the pins from which they can be computed again."""

import datetime as dt
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, field_validator

from trading.promotion.horizons import Horizon, HorizonWindow
from trading.strategies.identity import content_hash

_Count = Annotated[int, Field(ge=0)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Text = Annotated[str, Field(min_length=1)]

_NOBODY = frozenset({"auto", "automatic", "automation", "system", "bot", "dagster", "sensor", "schedule", "root"})


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def person(name: str) -> str:
    """``name`` where it can be a human's; ValueError for an empty one and for what automation calls
    itself.
    """
    cleaned = name.strip()
    if not cleaned or cleaned.lower() in _NOBODY:
        raise ValueError(f"{name!r} names no person; automation cannot decide this")
    return cleaned


class HorizonEvidence(_Record):
    """One replay over one horizon.

    Args:
        first, last, expected, available, reaches_back: see :class:`HorizonWindow`; ``available`` is the
        number.
        metrics: of the replay; None where there was none.
        error: of a replay that failed.
    """

    horizon: Horizon
    first: dt.date
    last: dt.date
    expected: _Count
    available: _Count
    reaches_back: bool
    metrics: dict[str, FiniteFloat | None] | None = None
    error: str | None = None

    @classmethod
    def of(
        cls,
        window: HorizonWindow,
        metrics: dict[str, float | None] | None,
        error: str | None = None,
    ) -> Self:
        return cls(
            horizon=window.horizon,
            first=window.first,
            last=window.last,
            expected=window.expected,
            available=len(window.available),
            reaches_back=window.reaches_back,
            metrics=metrics,
            error=error,
        )

    @property
    def replayed(self) -> bool:
        return self.metrics is not None and self.error is None and self.available > 0


class SymbolEvidence(_Record):
    """The trades of one Symbol in the replay over one horizon."""

    symbol: _Text
    horizon: Horizon
    num_trades: _Count
    expectancy: FiniteFloat | None


class DataQuality(_Record):
    """Partitions that the evidence was computed from, and those of them whose quality checks are not
    green.
    """

    partitions: _Count
    failed: tuple[str, ...] = ()


class Robustness(_Record):
    """Findings of the lab; None = not examined yet.

    Args:
        trials: variants tried in the sweep that this one comes from.
        deflated_sharpe: see :func:`trading.lab.deflated_sharpe.deflated_sharpe_ratio`.
        walk_forward_folds, walk_forward_expectancy: out-of-sample folds, and expectancy per trade over them
        together.
        pbo: see :func:`trading.lab.overfitting.cscv`.
        neighbourhood: share of neighbouring parameter sets with an expectancy above 0.
        fill_order_expectancy: the worst expectancy over the assumptions about order inside a bar.
    """

    trials: Annotated[int, Field(ge=1)] | None = None
    deflated_sharpe: _Share | None = None
    walk_forward_folds: _Count | None = None
    walk_forward_expectancy: FiniteFloat | None = None
    pbo: _Share | None = None
    neighbourhood: _Share | None = None
    fill_order_expectancy: FiniteFloat | None = None


class EngineParity(_Record):
    """The replay against an independent engine: trades compared, trades that only one has, largest pnl
    difference.
    """

    trades: _Count
    unmatched: _Count
    max_pnl_difference: FiniteFloat


class Execution(_Record):
    """What happened in the market (or its simulation) against a replay of the same sessions.

    Args:
        sessions: traded at the stage.
        trades, missed, extra: of the account; in the replay only; in the account only.
        max_price_difference_bps: largest over matched fills; None without one.
        unresolved_differences: of reconciliation.
        slippage_bps, assumed_slippage_bps: mean over fills that pay it, and what the replay assumes.
        error_events: risk events of severity error or worse.
    """

    sessions: _Count
    trades: _Count
    missed: _Count
    extra: _Count
    max_price_difference_bps: FiniteFloat | None
    unresolved_differences: _Count
    slippage_bps: FiniteFloat | None
    assumed_slippage_bps: FiniteFloat
    error_events: _Count


class Approval(_Record):
    """A named human's yes to one strategy version on one body of evidence (:attr:`Evidence.content_hash`)."""

    by: str
    at: AwareDatetime
    strategy_version: _Text
    evidence_hash: _Text
    comment: str = ""

    @field_validator("by")
    @classmethod
    def _person(cls, value: str) -> str:
        return person(value)


class Evidence(_Record):
    """All that a decision depends on besides the policy and the stage.

    Args:
        variant, strategy_version, config_hash: whose; see :class:`trading.variants.Variant`.
        session: the as-of session.
        commits: by dataset (bars, signals, backtests), as the data layer pins them.
        code_version, calendar_version, package_versions: what computed the figures.
        contract_ok, causality_ok: results of these checks; None = not conclusive or not run.
        horizons: one each, at most.
        symbols: per Symbol and horizon.
        breakers, parity_breaks, superseded: what speaks for demotion now; each text says what.
        earlier_green: whether the standing gates were green, per session since the stage was entered, newest
            last.
    """

    variant: _Text
    strategy_version: _Text
    config_hash: _Text
    session: dt.date
    commits: dict[str, JsonValue]
    code_version: _Text
    calendar_version: _Text
    package_versions: dict[str, str] = Field(default_factory=dict)
    contract_ok: bool | None = None
    causality_ok: bool | None = None
    horizons: tuple[HorizonEvidence, ...] = ()
    symbols: tuple[SymbolEvidence, ...] = ()
    data_quality: DataQuality | None = None
    robustness: Robustness = Robustness()
    engine_parity: EngineParity | None = None
    execution: Execution | None = None
    breakers: tuple[str, ...] = ()
    parity_breaks: tuple[str, ...] = ()
    superseded: tuple[str, ...] = ()
    earlier_green: tuple[bool, ...] = ()
    approval: Approval | None = None

    @field_validator("horizons")
    @classmethod
    def _each_once(cls, value: tuple[HorizonEvidence, ...]) -> tuple[HorizonEvidence, ...]:
        names = [item.horizon for item in value]
        if len(set(names)) < len(names):
            raise ValueError(f"each horizon may come once, they are {', '.join(names)}")
        return value

    def horizon(self, name: str) -> HorizonEvidence | None:
        return next((item for item in self.horizons if item.horizon == name), None)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of everything but the approval: what an approval is given for."""
        return content_hash(self.model_dump(mode="json", exclude={"approval"}))

    def to_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json")
