"""How much of what a sweep found is luck: every examination put together."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from trading.errors import DataError
from trading.instruments import Instrument
from trading.lab import findings as found
from trading.lab.config import SweepConfig
from trading.lab.deflated_sharpe import (
    ReturnMoments,
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    independent_trials,
    minimum_track_record_length,
    probabilistic_sharpe_ratio,
)
from trading.lab.fill_order import fill_order_sensitivity
from trading.lab.monte_carlo import MonteCarlo, monte_carlo
from trading.lab.overfitting import Overfitting, cscv
from trading.lab.session_figures import best_of
from trading.lab.stability import Neighbourhood, Stability, stability
from trading.lab.sweep import SignalSource, SweepRun
from trading.lab.verdict import against
from trading.lab.walk_forward import WalkForward, walk_forward
from trading.replay import replay

Array = np.ndarray[Any, np.dtype[Any]]

_DIGITS = 12  # significant ones that are kept: the last bits of a sum depend on the machine


@dataclass(frozen=True)
class Robustness:
    """What was found, and the tables and samples behind it.

    Attributes:
        results: the sweep's, with deflated_sharpe, neighbourhood (share of neighbours that earn) and plateau (Float64).
        best: number of the best set; None where no set has the metric.
        overfitting, walk_forward: None where the data does not allow them.
        monte_carlo: by set, of best and base; a set without a trade is not there.
    """

    findings: found.SweepFindings
    results: pl.DataFrame
    best: int | None
    overfitting: Overfitting | None
    walk_forward: WalkForward | None
    monte_carlo: Mapping[int, MonteCarlo]


def examine(
    run: SweepRun,
    config: SweepConfig,
    bars: pl.DataFrame,
    signals_of: SignalSource,
    instruments: Mapping[str, Instrument] | None = None,
    *,
    as_of: dt.date,
    label: str | None = None,
) -> Robustness:
    """Examine a sweep.

    Args:
        run: of ``config``, over ``bars`` with ``signals_of``.
        as_of: last session of it.
        label: of the market, for the reader.
    """
    desk = _Desk(run, config, bars, signals_of, instruments)
    best = best_of(desk.metric, desk.candidates)
    missing: dict[str, str] = {}
    if best is None:
        missing["best"] = f"no set has the metric {config.metric}"
    overfitting = _try("overfitting", missing, desk.overfitting)
    forward = _try("walk_forward", missing, desk.walk_forward)
    simulated: dict[int, MonteCarlo] = {}
    base = desk.examined(run.trials.base, simulated)
    chosen = None if best is None else base if best == run.trials.base else desk.examined(best, simulated)
    sessions = run.figures.sessions
    sums = found.SweepFindings(
        sweep=config.name,
        variant=config.variant,
        label=label,
        as_of=as_of,
        horizon=config.horizon,
        first=sessions[0],
        sessions=len(sessions),
        metric=config.metric,
        seed=config.seed,
        sets=len(run.trials),
        distinct=int(run.distinct.sum()),
        candidates=int(desk.candidates.sum()),
        best=chosen,
        base=base,
        overfitting=None if overfitting is None else _overfitting(overfitting, config, int(desk.candidates.sum())),
        walk_forward=None if forward is None else _walk_forward(forward),
        missing=missing,
        against=(),
    )
    sums = sums.model_copy(update={"against": against(sums, config.limits)})
    return Robustness(sums, desk.results(), best, overfitting, forward, simulated)


class _Desk:
    """The examinations of one sweep, with what several of them need."""

    def __init__(
        self,
        run: SweepRun,
        config: SweepConfig,
        bars: pl.DataFrame,
        signals_of: SignalSource,
        instruments: Mapping[str, Instrument] | None,
    ) -> None:
        self.run, self.config, self.bars = run, config, bars
        self.signals_of, self.instruments = signals_of, instruments
        self.metric = run.figures.metric(config.metric)
        self.expectancy = run.figures.metric("expectancy")
        self.candidates: Array = run.distinct & (run.figures.trades.sum(axis=1) > 0) & run.figures.solvent
        self.moments = [ReturnMoments.of(row) for row in run.figures.returns]
        self._neighbourhood = Neighbourhood(run.trials.sets)

    @cached_property
    def tried(self) -> tuple[float, float, float]:
        """Trials, what they are worth, and the variance of their Sharpe ratios."""
        sharpes = [
            moments.sharpe
            for moments, counts in zip(self.moments, self.candidates, strict=True)
            if counts and moments is not None
        ]
        if not sharpes:
            return 1.0, 1.0, 0.0
        variance = float(np.var(sharpes, ddof=1)) if len(sharpes) > 1 else 0.0
        return float(len(sharpes)), independent_trials(self.run.figures.returns[self.candidates].T), variance

    def overfitting(self) -> Overfitting:
        blocks, sessions = self.config.cscv.blocks, len(self.run.figures.sessions)
        if sessions < 2 * blocks:
            raise DataError(
                f"cscv needs two sessions for each of its {blocks} blocks, there are {sessions}; "
                "take a longer horizon, or fewer blocks"
            )
        if self.candidates.sum() < 2:
            raise DataError("two different sets with a trade are needed to tell the better one")
        return cscv(self.run.figures.returns[self.candidates].T, self.config.cscv.blocks)

    def walk_forward(self) -> WalkForward:
        return walk_forward(self.run.figures, self.config.metric, self.config.walk_forward, self.candidates)

    def deflated(self, number: int) -> float | None:
        moments = self._moments(number)
        return None if moments is None else _deflated(moments, *self.tried[::2])

    def results(self) -> pl.DataFrame:
        """The sweep's table with what each set's neighbours and the number of trials say of it."""
        around = [self.stability(number) for number in range(len(self.run.trials))]
        deflated = [self.deflated(number) for number in range(len(self.run.trials))]
        return self.run.results.with_columns(
            pl.Series("deflated_sharpe", deflated, dtype=pl.Float64),
            pl.Series("neighbourhood", [item.earning for item in around], dtype=pl.Float64),
            pl.Series("plateau", [item.plateau for item in around], dtype=pl.Float64),
        )

    def stability(self, number: int) -> Stability:
        around = self._neighbourhood.around(number)
        return stability(self.metric, self.expectancy, around, number, self.config.stability.tolerance)

    def examined(self, number: int, simulated: dict[int, MonteCarlo]) -> found.SetFindings:
        variant = self.run.trials.variants[number]
        signals = self.signals_of(variant)
        result = replay(self.bars, signals, variant.replay, self.instruments)
        order = fill_order_sensitivity(self.bars, signals, variant.replay, self.instruments, result)
        runs, seed = self.config.monte_carlo.runs, self.config.seed
        simulation = monte_carlo(result.trades["pnl"].to_numpy(), variant.replay.initial_cash, runs, seed)
        if simulation is not None:
            simulated[number] = simulation
        near = self.stability(number)
        return found.SetFindings(
            set=number,
            values=self.run.trials.sets.values(number),
            strategy_version=variant.strategy_version,
            config_hash=variant.config_hash,
            metrics=_figures(result.metrics),
            sharpe=self._sharpe(number),
            stability=found.StabilityFindings(
                neighbours=near.neighbours,
                alike=near.alike,
                earning=near.earning,
                plateau=_rounded(near.plateau),
            ),
            monte_carlo=None if simulation is None else _monte_carlo(simulation, runs, result.trades.height),
            fill_order=found.FillOrderFindings(
                assumptions={name: _figures(metrics) for name, metrics in order.metrics.items()},
                worst_expectancy=_rounded(order.worst_expectancy),
            ),
        )

    def _moments(self, number: int) -> ReturnMoments | None:
        """Of a set that was never without equity."""
        return self.moments[number] if self.run.figures.solvent[number] else None

    def _sharpe(self, number: int) -> found.SharpeFindings | None:
        moments = self._moments(number)
        if moments is None:
            return None
        trials, independent, variance = self.tried
        sharpe, skew, kurtosis = moments.sharpe, moments.skew, moments.kurtosis
        return found.SharpeFindings(
            observations=moments.observations,
            sharpe=_round(moments.sharpe),
            skew=_round(moments.skew),
            kurtosis=_round(moments.kurtosis),
            trials=int(trials),
            independent_trials=_round(independent),
            trials_variance=_round(variance),
            expected_maximum=_round(expected_maximum_sharpe(trials, variance)),
            probabilistic=_rounded(probabilistic_sharpe_ratio(sharpe, 0.0, moments.observations, skew, kurtosis)),
            deflated=_rounded(self.deflated(number)),
            deflated_independent=_rounded(_deflated(moments, independent, variance)),
            minimum_track_record=_rounded(minimum_track_record_length(sharpe, 0.0, skew=skew, kurtosis=kurtosis)),
        )


def _deflated(moments: ReturnMoments, trials: float, variance: float) -> float | None:
    return deflated_sharpe_ratio(
        moments.sharpe,
        trials=trials,
        trials_variance=variance,
        observations=moments.observations,
        skew=moments.skew,
        kurtosis=moments.kurtosis,
    )


def _try(name: str, missing: dict[str, str], make: Callable[[], Any]) -> Any:
    try:
        return make()
    except DataError as error:
        missing[name] = str(error)
        return None


def _overfitting(result: Overfitting, config: SweepConfig, variants: int) -> found.OverfittingFindings:
    return found.OverfittingFindings(
        pbo=_round(result.pbo),
        blocks=config.cscv.blocks,
        splits=result.splits,
        variants=variants,
        median_logit=_round(float(np.median(result.logits))),
        slope=_rounded(result.slope),
        intercept=_rounded(result.intercept),
        probability_of_loss=_round(result.probability_of_loss),
    )


def _walk_forward(result: WalkForward) -> found.WalkForwardFindings:
    return found.WalkForwardFindings(
        folds=result.folds.height,
        sessions=result.returns.height,
        trades=int(result.folds["trades"].sum()),
        expectancy=_rounded(result.expectancy),
        efficiency=_rounded(result.efficiency),
        sharpe=_rounded(result.sharpe),
        total_return=_round(result.total_return),
    )


def _monte_carlo(result: MonteCarlo, runs: int, trades: int) -> found.MonteCarloFindings:
    return found.MonteCarloFindings(
        runs=runs,
        trades=trades,
        actual_drawdown=_round(result.actual_drawdown),
        drawdown=_figures(result.drawdown_quantiles),
        deeper=_round(result.deeper),
        actual_final=_round(result.actual_final),
        final_equity=_figures(result.final_equity_quantiles),
        probability_of_loss=_round(result.probability_of_loss),
    )


def _figures(values: Mapping[str, float | int | None]) -> dict[str, float | None]:
    return {name: _rounded(value) for name, value in values.items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else _round(value)


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}") + 0.0
