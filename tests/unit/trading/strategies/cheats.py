"""Strategies that look ahead, each in its own way, on an honest base that signals at about every second bar."""

import numpy as np
import polars as pl

from trading.strategies import Params, Strategy


class Breakout(Strategy[Params]):
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


class NextBar(Breakout):
    def prepared(self, bars):
        return bars.with_columns(
            wanted=pl.col("Close").shift(-1).over("Symbol") > pl.col("Close") + 0.1, entry=pl.col("High")
        )


class NextBarWhereKnown(Breakout):
    """Emits on the newest bar too, so that only a forged future gives it away."""

    def prepared(self, bars):
        ahead = pl.col("Close").shift(-1).over("Symbol")
        return bars.with_columns(wanted=(ahead > pl.col("Close")).fill_null(True), entry=pl.col("High"))


class CentredRolling(Breakout):
    def prepared(self, bars):
        mean = pl.col("Close").rolling_mean(5, center=True, min_samples=1).over("Symbol")
        return bars.with_columns(wanted=pl.col("Close") < mean, entry=pl.col("High"))


class WholeSeriesZScore(Breakout):
    def prepared(self, bars):
        score = (pl.col("Close") - pl.col("Close").mean().over("Symbol")) / pl.col("Close").std().over("Symbol")
        return bars.with_columns(wanted=score < 0, entry=pl.col("High"))


class LabelledLeft(Breakout):
    """Half-hour bars joined by their start: the first five minutes know the High of all thirty."""

    def prepared(self, bars):
        half_hour = pl.col("Timestamp").dt.truncate("30m")
        return bars.with_columns(wanted=pl.lit(True), entry=pl.col("High").max().over("Symbol", half_hour))


class Backfilled(Breakout):
    def prepared(self, bars):
        sparse = pl.when(pl.col("Timestamp").dt.minute() % 15 == 0).then("High")
        filled = sparse.fill_null(strategy="backward").over("Symbol")
        return bars.with_columns(wanted=filled.is_not_null(), entry=filled)


class SessionHigh(Breakout):
    """A level of the whole session, known only at its close."""

    def prepared(self, bars):
        return bars.with_columns(
            wanted=pl.col("Close") > pl.col("Open"), entry=pl.col("High").max().over("Symbol", "session")
        )


class OtherSymbolAhead(Breakout):
    """Looks at the next bar of another Symbol than its own."""

    def prepared(self, bars):
        leader = bars.filter(pl.col("Symbol") == "AA").select(
            "Timestamp", leads=pl.col("Close").shift(-1) > pl.col("Close")
        )
        joined = bars.join(leader, on="Timestamp", how="left", maintain_order="left")
        return joined.with_columns(wanted=pl.col("leads").fill_null(False), entry=pl.col("High"))


class Fickle(Breakout):
    """Not a function of its input: a state is carried from call to call."""

    calls = 0

    def prepared(self, bars):
        type(self).calls += 1
        return bars.with_columns(wanted=pl.lit(True), entry=pl.col("High") + type(self).calls)


class LevelOfNextBar(Breakout):
    """Enters at the next bar's Open: the order that every backtest of a beginner fills."""

    def prepared(self, bars):
        return bars.with_columns(wanted=pl.lit(True), entry=pl.col("Open").shift(-1).over("Symbol").fill_null(10.0))


class WholeSeriesQuantile(Breakout):
    def prepared(self, bars):
        return bars.with_columns(wanted=pl.col("Close") < pl.col("Close").quantile(0.3).over("Symbol"), entry="High")


class WholeSeriesRank(Breakout):
    def prepared(self, bars):
        rank = pl.col("Close").rank() / pl.len()
        return bars.with_columns(wanted=rank.over("Symbol") > 0.7, entry=pl.col("High"))


class BestByFutureReturn(Breakout):
    """Sorts all bars by what they earned an hour later, and keeps the best."""

    def prepared(self, bars):
        earned = pl.col("Close").shift(-12).over("Symbol") / pl.col("Close") - 1
        best = bars.with_columns(earned=earned).sort("earned", descending=True, nulls_last=True).head(200)
        chosen = best.select("Symbol", "Timestamp", chosen=pl.lit(True))
        joined = bars.join(chosen, on=["Symbol", "Timestamp"], how="left", maintain_order="left")
        return joined.with_columns(wanted=pl.col("chosen").fill_null(False), entry=pl.col("High"))


class Interpolated(Breakout):
    """A level every half hour, drawn as straight lines between the points."""

    def prepared(self, bars):
        sparse = pl.when(pl.col("Timestamp").dt.minute() % 30 == 0).then("High")
        line = sparse.interpolate().over("Symbol")
        return bars.with_columns(wanted=line.is_not_null(), entry=line)


class ResampledLabelledLeft(Breakout):
    """Quarter hours labelled at their start and joined by the newest label: they end after most of their bars."""

    def prepared(self, bars):
        quarters = bars.group_by_dynamic("Timestamp", every="15m", label="left", group_by="Symbol").agg(
            quarter=pl.col("High").max()
        )
        joined = bars.join_asof(quarters, on="Timestamp", by="Symbol", check_sortedness=False)
        return joined.with_columns(wanted=pl.col("quarter").is_not_null(), entry=pl.col("quarter"))


class AsofForward(Breakout):
    def prepared(self, bars):
        levels = bars.filter(pl.col("Timestamp").dt.minute() % 20 == 0).select("Symbol", "Timestamp", level="High")
        joined = bars.join_asof(levels, on="Timestamp", by="Symbol", strategy="forward", check_sortedness=False)
        return joined.with_columns(wanted=pl.col("level").is_not_null(), entry=pl.col("level"))


class ReversedTrend(Breakout):
    """An average that runs from the end."""

    def prepared(self, bars):
        trend = pl.col("Close").reverse().ewm_mean(span=10).reverse().over("Symbol")
        return bars.with_columns(wanted=pl.col("Close") < trend, entry=pl.col("High"))


class LiquidToday(Breakout):
    """Trades the Symbol that will have moved most in the session."""

    def prepared(self, bars):
        span = (pl.col("High").max() - pl.col("Low").min()).over("Symbol", "session")
        return bars.with_columns(wanted=span == span.max().over("session"), entry=pl.col("High"))


class LastClose(Breakout):
    """Knows one single price of the future: the very last."""

    def prepared(self, bars):
        return bars.with_columns(wanted=pl.col("Close") < pl.col("Close").last().over("Symbol"), entry=pl.col("High"))


class BeforeTheNewestBar(Breakout):
    """Honest but for the last bar but one of what it is given, which peeks at the last."""

    def prepared(self, bars):
        ahead = pl.col("Close").shift(-1).over("Symbol")
        peeks = (pl.int_range(pl.len()) == pl.len() - 2).over("Symbol")
        wanted = pl.when(peeks).then(ahead > pl.col("Close")).otherwise(pl.col("Close") > pl.col("Open"))
        return bars.with_columns(wanted=wanted, entry=pl.col("High"))


def every_500th() -> pl.Expr:
    return pl.col("Timestamp").dt.epoch("s") // 300 % 500 == 123


class OneBarIn500(Breakout):
    """Dense and honest, but at one timestamp in 500 a signal is there only if the next bar goes up."""

    def prepared(self, bars):
        ahead = pl.col("Close").shift(-1).over("Symbol") > pl.col("Close")
        honest = pl.col("Close") > pl.col("Open")
        return bars.with_columns(wanted=pl.when(every_500th()).then(ahead).otherwise(honest), entry=pl.col("High"))


class OneLoserIn500(Breakout):
    """Leaves out a signal at one timestamp in 500, where the next bar goes down: what is missing cannot be cut at."""

    def prepared(self, bars):
        falls = pl.col("Close").shift(-1).over("Symbol") < pl.col("Close")
        honest = pl.col("Close") > pl.col("Open")
        return bars.with_columns(wanted=honest & ~(every_500th() & falls.fill_null(False)), entry=pl.col("High"))


class OneLevelIn500(Breakout):
    """All signals honest, but the entry of one timestamp in 500 is the next bar's High."""

    def prepared(self, bars):
        ahead = pl.col("High").shift(-1).over("Symbol").fill_null(pl.col("High"))
        entry = pl.when(every_500th()).then(ahead).otherwise("High")
        return bars.with_columns(wanted=pl.col("Close") > pl.col("Open"), entry=entry)


class TomorrowsGap(Breakout):
    """Dense and honest, but at the last bar of a session a signal is there only if the next one opens higher."""

    def prepared(self, bars):
        last = pl.col("session") != pl.col("session").shift(-1).over("Symbol")
        gap = pl.col("Open").shift(-1).over("Symbol") > pl.col("Close")
        honest = pl.col("Close") > pl.col("Open")
        return bars.with_columns(
            wanted=pl.when(last.fill_null(False)).then(gap).otherwise(honest), entry=pl.col("High")
        )


class Random(Breakout):
    """Rolls a die where it should decide."""

    random = np.random.default_rng(0)

    def prepared(self, bars):
        return bars.with_columns(wanted=pl.Series(self.random.random(bars.height) < 0.01), entry=pl.col("High"))


class RemembersWhatItSaw(Breakout):
    """Keeps the next Close of every bar from call to call, so that a future hidden later is known already."""

    def __init__(self):
        self.seen = {}

    def prepared(self, bars):
        ahead = bars.with_columns(ahead=pl.col("Close").shift(-1).over("Symbol"))
        for symbol, timestamp, close in ahead.select("Symbol", "Timestamp", "ahead").iter_rows():
            if close is not None:
                self.seen.setdefault((symbol, timestamp), close)
        known = [self.seen.get(key, 0.0) for key in bars.select("Symbol", "Timestamp").iter_rows()]
        return bars.with_columns(wanted=pl.Series(known) > pl.col("Close"), entry=pl.col("High"))


class LongMemory(Breakout):
    """Honest, but it remembers for ever: what the docs ask nobody to write, and no look ahead all the same."""

    def prepared(self, bars):
        trend = pl.col("Close").ewm_mean(span=200).over("Symbol")
        return bars.with_columns(wanted=pl.col("Close") > trend, entry=pl.col("High"))


class YesterdaysHigh(Breakout):
    """Honest: a level of the session before, with a warm-up that covers it."""

    def warmup(self, params):
        return 78

    def prepared(self, bars):
        highs = bars.group_by("Symbol", "session").agg(level=pl.col("High").max()).sort("Symbol", "session")
        highs = highs.with_columns(pl.col("level").shift().over("Symbol"))
        joined = bars.join(highs, on=["Symbol", "session"], how="left", maintain_order="left")
        return joined.with_columns(wanted=pl.col("level") > pl.col("Close"), entry=pl.col("level"))
