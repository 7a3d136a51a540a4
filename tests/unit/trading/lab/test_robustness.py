"""The examinations put together: what is reported, and what speaks against a set."""

import json

import numpy as np
import polars as pl
import pytest

from trading.contracts import validate
from trading.errors import ContractViolation
from trading.lab import sweep_contracts as contracts
from trading.lab.config import Limits
from trading.lab.findings import SweepFindings
from trading.lab.overfitting import cscv
from trading.lab.robustness import examine
from trading.lab.sweep import Trials, run_sweep
from trading.lab.verdict import against, headline, report
from trading.replay import replay

from .conftest import config


@pytest.fixture(scope="module")
def examined(bars, base):
    chosen = config()

    def signals_of(variant):
        return variant.implementation.signals(bars, variant.params)

    run = run_sweep(bars, Trials.of(chosen, base), signals_of)
    as_of = bars["session"].max()
    return run, examine(run, chosen, bars, signals_of, as_of=as_of, label="SYNTHETIC")


def test_the_best_set_is_the_one_with_the_highest_metric(examined):
    run, found = examined
    sharpe = run.results["sharpe"]
    assert found.best == sharpe.arg_max()
    assert found.findings.best.metrics["sharpe"] == pytest.approx(sharpe.max())
    assert found.findings.best.values == run.trials.sets.values(found.best)
    assert found.findings.base.set == run.trials.base
    assert found.findings.base.config_hash == run.trials.variants[run.trials.base].config_hash


def test_the_figures_are_those_of_their_modules(examined, bars):
    run, found = examined
    figures = run.figures
    assert found.findings.candidates == found.findings.distinct == 12
    assert found.findings.overfitting.pbo == pytest.approx(cscv(figures.returns.T, 6).pbo)
    best = found.findings.best
    variant = run.trials.variants[best.set]
    trades = replay(bars, variant.implementation.signals(bars, variant.params), variant.replay).trades
    assert best.monte_carlo.trades == trades.height
    assert best.monte_carlo.actual_final == pytest.approx(10_000 + trades["pnl"].sum())
    assert list(best.fill_order.assumptions) == ["pessimistic", "optimistic", "nearest_to_open"]
    assert best.fill_order.assumptions["pessimistic"] == best.metrics
    assert best.fill_order.worst_expectancy <= best.metrics["expectancy"]
    assert best.sharpe.trials == 12
    assert 1 <= best.sharpe.independent_trials < 12
    assert best.sharpe.deflated <= best.sharpe.deflated_independent <= best.sharpe.probabilistic
    assert best.sharpe.sharpe * np.sqrt(252) == pytest.approx(best.metrics["sharpe"])
    around = found.results.row(best.set, named=True)
    assert around["deflated_sharpe"] == pytest.approx(best.sharpe.deflated)
    assert around["neighbourhood"] == best.stability.earning


def test_tables_keep_their_contracts(examined):
    _, found = examined
    validate(found.results, contracts.RESULTS)
    with pytest.raises(ContractViolation, match="same_as must be the set itself or one before it"):
        validate(found.results.with_columns(same_as=pl.lit(11, dtype=pl.Int32)), contracts.RESULTS)


def test_findings_are_read_back_as_they_were(examined):
    _, found = examined
    content = json.loads(json.dumps(found.findings.to_dict()))
    sound = content.pop("sound")
    again = SweepFindings.model_validate(content)
    assert again == found.findings
    assert sound == again.sound


def test_the_same_sweep_gives_the_same_findings(examined, bars):
    run, found = examined

    def signals_of(variant):
        return variant.implementation.signals(bars, variant.params)

    again = examine(run, config(), bars, signals_of, as_of=bars["session"].max(), label="SYNTHETIC")
    assert again.findings == found.findings
    assert again.results.equals(found.results)


def test_too_few_sessions_are_said_and_nothing_is_made_up(bars, base):
    days = bars["session"].unique().sort()[-5:]
    few = bars.filter(pl.col("session").is_in(days.implode()))
    chosen = config()

    def signals_of(variant):
        return variant.implementation.signals(few, variant.params)

    run = run_sweep(few, Trials.of(chosen, base), signals_of)
    found = examine(run, chosen, few, signals_of, as_of=days[-1]).findings
    assert (
        found.overfitting is None
        and "two sessions for each of its 6 blocks, there are 5" in found.missing["overfitting"]
    )
    assert found.walk_forward is None and "train + gap = 8 sessions, there are 5" in found.missing["walk_forward"]
    assert not found.sound
    assert "overfitting is not known" in report(found, chosen.limits)


def test_no_trade_at_all_is_no_best_set(bars, base):
    chosen = config(params={"min_mother_atr": [500.0, 1000.0]}, replay=None)

    def signals_of(variant):
        return variant.implementation.signals(bars, variant.params)

    still = base.model_copy(update={"params": base.params.model_copy(update={"min_mother_atr": 500.0})})
    run = run_sweep(bars, Trials.of(chosen, still), signals_of)
    found = examine(run, chosen, bars, signals_of, as_of=bars["session"].max()).findings
    assert found.best is None and found.candidates == 0
    assert found.against == ("no set traded and earned a figure to choose by",)
    assert found.base.monte_carlo is None and found.base.sharpe is None
    assert "Do not trust" in report(found, chosen.limits)


class TestVerdict:
    def _changed(self, findings, **parts):
        return findings.model_copy(update=parts)

    def test_nothing_speaks_against_what_keeps_every_limit(self, examined):
        _, found = examined
        findings = found.findings
        best = findings.best
        good = self._changed(
            findings,
            best=best.model_copy(
                update={
                    "metrics": {**best.metrics, "expectancy": 1.0},
                    "sharpe": best.sharpe.model_copy(update={"deflated": 0.99}),
                    "stability": best.stability.model_copy(update={"earning": 0.9}),
                    "fill_order": best.fill_order.model_copy(update={"worst_expectancy": 0.5}),
                }
            ),
            overfitting=findings.overfitting.model_copy(update={"pbo": 0.05}),
            walk_forward=findings.walk_forward.model_copy(update={"expectancy": 1.0, "efficiency": 0.8}),
            missing={},
            against=(),
        )
        assert against(good, Limits()) == ()
        assert good.sound
        assert headline(good).startswith("Nothing examined speaks against")
        # and each of them alone is enough
        spoilt = [
            (
                self._changed(
                    good,
                    best=good.best.model_copy(
                        update={"fill_order": good.best.fill_order.model_copy(update={"worst_expectancy": -0.1})}
                    ),
                ),
                "the worst order of events inside a bar does not earn",
            ),
            (
                self._changed(good, overfitting=good.overfitting.model_copy(update={"pbo": 0.5})),
                "overfitting is likely",
            ),
            (
                self._changed(
                    good,
                    best=good.best.model_copy(update={"sharpe": good.best.sharpe.model_copy(update={"deflated": 0.5})}),
                ),
                "a Sharpe ratio above 0 has probability 50.0%",
            ),
            (
                self._changed(
                    good,
                    best=good.best.model_copy(
                        update={"stability": good.best.stability.model_copy(update={"earning": 0.2})}
                    ),
                ),
                "20.0% of",
            ),
            (
                self._changed(good, walk_forward=good.walk_forward.model_copy(update={"expectancy": -0.1})),
                "walk-forward does not earn out of sample",
            ),
            (
                self._changed(good, walk_forward=good.walk_forward.model_copy(update={"efficiency": 0.1})),
                "walk-forward keeps 10.0%",
            ),
            (
                self._changed(
                    good, best=good.best.model_copy(update={"metrics": {**best.metrics, "expectancy": -1.0}})
                ),
                "the best set does not earn",
            ),
        ]
        for findings, says in spoilt:
            [line] = against(findings, Limits())
            assert says in line
