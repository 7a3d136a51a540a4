"""The look-ahead check catches strategies that cheat, each in its own way, and lets honest ones pass."""

import polars as pl
import pytest

from trading.errors import ConfigError
from trading.strategies import Params, Strategy, check_causality, get_strategy


class _Breakout(Strategy[Params]):
    """Buys above a bar's High wherever :meth:`wanted` says so; honest unless a subclass looks ahead."""

    name = "breakout"
    short_name = "BO"
    timeframes = ("5m",)
    parameters = Params

    def warmup(self, params):
        return 0

    def prepared(self, bars):
        return bars.with_columns(wanted=pl.col("Close") > pl.col("Open"), entry=pl.col("High"))

    def compute(self, bars, params, instruments):
        return (
            self.prepared(bars)
            .filter("wanted")
            .select(
                "Symbol",
                "Timestamp",
                long_entry="entry",
                short_entry=pl.lit(None, pl.Float64),
                sl_long=pl.col("entry") - 1.0,
                sl_short=pl.lit(None, pl.Float64),
                tp_long=pl.lit(None, pl.Float64),
                tp_short=pl.lit(None, pl.Float64),
            )
        )


class NextBar(_Breakout):
    def prepared(self, bars):
        return bars.with_columns(
            wanted=pl.col("Close").shift(-1).over("Symbol") > pl.col("Close") + 0.1, entry=pl.col("High")
        )


class NextBarWhereKnown(_Breakout):
    """Emits on the newest bar too, so that only a forged future gives it away."""

    def prepared(self, bars):
        ahead = pl.col("Close").shift(-1).over("Symbol")
        return bars.with_columns(wanted=(ahead > pl.col("Close")).fill_null(True), entry=pl.col("High"))


class CentredRolling(_Breakout):
    def prepared(self, bars):
        mean = pl.col("Close").rolling_mean(5, center=True, min_samples=1).over("Symbol")
        return bars.with_columns(wanted=pl.col("Close") < mean, entry=pl.col("High"))


class WholeSeriesZScore(_Breakout):
    def prepared(self, bars):
        score = (pl.col("Close") - pl.col("Close").mean().over("Symbol")) / pl.col("Close").std().over("Symbol")
        return bars.with_columns(wanted=score < 0, entry=pl.col("High"))


class LabelledLeft(_Breakout):
    """Half-hour bars joined by their start: the first five minutes know the High of all thirty."""

    def prepared(self, bars):
        half_hour = pl.col("Timestamp").dt.truncate("30m")
        return bars.with_columns(wanted=pl.lit(True), entry=pl.col("High").max().over("Symbol", half_hour))


class Backfilled(_Breakout):
    def prepared(self, bars):
        sparse = pl.when(pl.col("Timestamp").dt.minute() % 15 == 0).then("High")
        filled = sparse.fill_null(strategy="backward").over("Symbol")
        return bars.with_columns(wanted=filled.is_not_null(), entry=filled)


class SessionHigh(_Breakout):
    """A level of the whole session, known only at its close."""

    def prepared(self, bars):
        return bars.with_columns(
            wanted=pl.col("Close") > pl.col("Open"), entry=pl.col("High").max().over("Symbol", "session")
        )


class OtherSymbolAhead(_Breakout):
    """Looks at the next bar of another Symbol than its own."""

    def prepared(self, bars):
        leader = bars.filter(pl.col("Symbol") == "AA").select(
            "Timestamp", leads=pl.col("Close").shift(-1) > pl.col("Close")
        )
        joined = bars.join(leader, on="Timestamp", how="left", maintain_order="left")
        return joined.with_columns(wanted=pl.col("leads").fill_null(False), entry=pl.col("High"))


class Fickle(_Breakout):
    """Not a function of its input: a state is carried from call to call."""

    calls = 0

    def prepared(self, bars):
        type(self).calls += 1
        return bars.with_columns(wanted=pl.lit(True), entry=pl.col("High") + type(self).calls)


CHEATS = [
    NextBar,
    NextBarWhereKnown,
    CentredRolling,
    WholeSeriesZScore,
    LabelledLeft,
    Backfilled,
    SessionHigh,
    OtherSymbolAhead,
]


@pytest.mark.parametrize("cheat", CHEATS)
@pytest.mark.parametrize("seed", range(5))
def test_a_strategy_that_looks_ahead_is_caught(frames, cheat, seed):
    report = check_causality(cheat(), frames.random_bars(["AA", "BB"], 8), seed=seed)
    assert not report.passed
    assert report.conclusive
    assert "over all bars" in str(report.breaches[0])
    assert report.breaches[0].timestamp <= report.breaches[0].cut


def test_a_forged_future_shows_what_a_hidden_one_does_not(frames):
    report = check_causality(NextBarWhereKnown(), frames.random_bars(["AA"], 4), cuts=20)
    assert "perturbation" in {breach.experiment for breach in report.breaches}


def test_a_strategy_that_remembers_is_caught(frames):
    report = check_causality(Fickle(), frames.random_bars(["AA"], 2))
    assert report.breaches[0].experiment == "repetition"


@pytest.mark.parametrize("name", ["insidebar_intraday", "insidebar_breakout", "marubozu_breakout"])
@pytest.mark.parametrize("seed", range(3))
def test_honest_strategies_pass(frames, name, seed):
    daily = name == "insidebar_breakout"
    bars = frames.random_bars(["AA", "BB"], 120 if daily else 10, minutes=None if daily else 5, seed=seed)
    report = check_causality(get_strategy(name), bars, {"atr_period": 5}, seed=seed)
    assert report.passed and report.conclusive
    assert report.signals > 5
    assert len(report.cuts) == 8


def test_the_honest_base_of_the_cheats_passes(frames):
    report = check_causality(_Breakout(), frames.random_bars(["AA", "BB"], 4), cuts=20)
    assert report.passed and report.conclusive


def test_the_same_seed_gives_the_same_report(frames):
    bars = frames.random_bars(["AA", "BB"], 5)
    one, two = (check_causality(NextBar(), bars, seed=7) for _ in range(2))
    assert one == two
    assert check_causality(NextBar(), bars, seed=8).cuts != one.cuts


def test_no_signal_is_no_evidence(frames):
    bars = frames.random_bars(["AA"], 1).head(10)
    report = check_causality(get_strategy("insidebar_intraday"), bars)
    assert report.passed and not report.conclusive


def test_cost_is_bounded(frames):
    report = check_causality(_Breakout(), frames.random_bars(["AA"], 20), cuts=3, max_bars=200)
    assert report.bars == 200
    assert len(report.cuts) == 3
    with pytest.raises(ConfigError, match="at least 1"):
        check_causality(_Breakout(), frames.random_bars(["AA"], 1), cuts=0)
