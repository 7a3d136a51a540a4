"""The replay against vectorbt: the same entries, exits and pnl, trade by trade."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from trading.instruments import Instrument
from trading.lab.vectorbt_engine import TRADES, vectorbt_trades
from trading.replay import ReplayConfig, replay
from trading.sizing import FixedSizing
from trading.ticks import exact

if TYPE_CHECKING:
    from trading.promotion import EngineParity

_KEYS = ("Symbol", "side", "entry_time")
_COMPARED = tuple(name for name in TRADES if name not in _KEYS)
_RELATIVE, _ABSOLUTE = 1e-9, 1e-7  # sums of the same terms in another order
_POSITION = 0.1  # of the cash, in a run at fixed size
_SIDES = {"long": ("long_entry", "sl_long", "tp_long"), "short": ("short_entry", "sl_short", "tp_short")}


@dataclass(frozen=True)
class ParityReport:
    """What two engines came to.

    Attributes:
        runs: comparisons in it.
        trades: that both have.
        replay_pnl, vectorbt_pnl: over all trades of each, currency.
        max_pnl_difference: largest over ``trades``, currency.
        differences: one row a trade that only one has, or that differs in more than rounding: run, Symbol, side,
            entry_time, found (``replay only``, ``vectorbt only`` or the columns that differ), then each compared column
            of the replay, and of vectorbt with ``_vectorbt``.
    """

    runs: int
    trades: int
    replay_pnl: float
    vectorbt_pnl: float
    max_pnl_difference: float
    differences: pl.DataFrame

    @property
    def passed(self) -> bool:
        """Nothing differs, and there was something to compare."""
        return self.trades > 0 and self.differences.is_empty()

    @classmethod
    def together(cls, reports: Iterable["ParityReport"]) -> "ParityReport":
        """One report over several."""
        found = list(reports)
        return cls(
            runs=sum(report.runs for report in found),
            trades=sum(report.trades for report in found),
            replay_pnl=math.fsum(report.replay_pnl for report in found),
            vectorbt_pnl=math.fsum(report.vectorbt_pnl for report in found),
            max_pnl_difference=max((report.max_pnl_difference for report in found), default=0.0),
            differences=pl.concat([report.differences for report in found]) if found else _no_differences(),
        )

    def evidence(self) -> "EngineParity":
        """As promotion wants it; a trade that differs counts as unmatched."""
        from trading.promotion import EngineParity

        return EngineParity(
            trades=self.trades, unmatched=self.differences.height, max_pnl_difference=self.max_pnl_difference
        )


def parity(
    bars: pl.DataFrame,
    signals: pl.DataFrame,
    config: ReplayConfig,
    instruments: Mapping[str, Instrument] | None = None,
    *,
    run: str = "",
) -> ParityReport:
    """Trade the signals by the replay and by vectorbt, and compare every trade.

    Args:
        bars, signals, config, instruments: as :func:`trading.replay.replay` takes them; any sizing but ``kelly``.
        run: a name for it, in the rows of the differences.

    Raises:
        ContractViolation: bars or signals break their contract.
        ConfigError: sizing ``kelly``.
    """
    ours = replay(bars, signals, config, instruments).trades.select(*TRADES)
    return compare(ours, vectorbt_trades(bars, signals, config, instruments), run=run)


def parity_alone(
    bars: pl.DataFrame,
    signals: pl.DataFrame,
    config: ReplayConfig,
    instruments: Mapping[str, Instrument] | None = None,
) -> ParityReport:
    """Every Symbol and side alone, at a fixed size of a tenth of the cash: what promotion asks for.

    No order cancels another and no Symbol takes another's cash, so a difference can only come from entries, exits,
    costs and accounting.
    """
    reports = []
    for (symbol,), own in bars.group_by("Symbol", maintain_order=True):
        instrument = Instrument(symbol=str(symbol)) if instruments is None else instruments[str(symbol)]
        fixed = config.model_copy(update={"sizing": FixedSizing(qty=_quantity(own, config, instrument))})
        of_symbol = signals.filter(pl.col("Symbol") == symbol)
        for side in _SIDES:
            reports.append(
                parity(own, one_side(of_symbol, side), fixed, {str(symbol): instrument}, run=f"{symbol} {side}")
            )
    return ParityReport.together(reports)


def one_side(signals: pl.DataFrame, side: str) -> pl.DataFrame:
    """The signals that have ``side`` (``long`` or ``short``), without their other side."""
    (other,) = (columns for name, columns in _SIDES.items() if name != side)
    return signals.filter(pl.col(_SIDES[side][0]).is_not_null()).with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in other
    )


def compare(ours: pl.DataFrame, theirs: pl.DataFrame, *, run: str = "") -> ParityReport:
    """Two frames of trades (columns of ``TRADES``), trade by trade; a trade is known by Symbol, side and entry time."""
    both = ours.join(theirs, on=_KEYS, how="full", suffix="_vectorbt", coalesce=True, validate="1:1").sort(
        "entry_time", "Symbol", "side"
    )
    here, there = pl.col("qty").is_not_null(), pl.col("qty_vectorbt").is_not_null()
    wrong = [pl.when(_differs(name)).then(pl.lit(name)) for name in _COMPARED]
    found = (
        pl.when(~there)
        .then(pl.lit("replay only"))
        .when(~here)
        .then(pl.lit("vectorbt only"))
        .otherwise(pl.concat_str(wrong, separator=", ", ignore_nulls=True))
    )
    judged = both.with_columns(run=pl.lit(run), found=found)
    matched = both.filter(here & there)
    worst = (matched["pnl"] - matched["pnl_vectorbt"]).abs().max()
    return ParityReport(
        runs=1,
        trades=matched.height,
        replay_pnl=math.fsum(ours["pnl"]),
        vectorbt_pnl=math.fsum(theirs["pnl"]),
        max_pnl_difference=worst if isinstance(worst, float) else 0.0,
        differences=judged.filter(pl.col("found") != "").select(*_no_differences().columns),
    )


def _differs(name: str) -> pl.Expr:
    a, b = pl.col(name), pl.col(f"{name}_vectorbt")
    if TRADES[name] != pl.Float64():
        return a != b
    return ~((a - b).abs() <= _ABSOLUTE + _RELATIVE * pl.max_horizontal(a.abs(), b.abs()))


def _no_differences() -> pl.DataFrame:
    keys = {"run": pl.String(), **{name: TRADES[name] for name in _KEYS}, "found": pl.String()}
    compared = {name: TRADES[name] for name in _COMPARED}
    return pl.DataFrame(schema={**keys, **compared, **{f"{name}_vectorbt": kind for name, kind in compared.items()}})


def _quantity(bars: pl.DataFrame, config: ReplayConfig, instrument: Instrument) -> float:
    """Whole lots worth a tenth of the cash at the first Close, at least the smallest quantity."""
    lot = exact(instrument.lot_size)
    lots = exact(_POSITION * config.initial_cash) / exact(float(bars["Close"][0])) // lot
    return max(float(lots * lot), instrument.min_qty, instrument.lot_size)
