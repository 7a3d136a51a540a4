"""Inside bars once more, one bar at a time in exact fractions, written from the rules alone."""

from collections import defaultdict
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from trading.sessions import get_calendar
from trading.ticks import exact


def inside_bars(bars: pl.DataFrame, params: dict[str, Any], *, daily: bool, tick: float = 0.01) -> list[dict[str, Any]]:
    period = params.get("atr_period", 14)
    rows: list[dict[str, Any]] = []
    counts: dict[Any, int] = defaultdict(int)
    for (symbol,), own in bars.group_by("Symbol", maintain_order=True):
        history: list[dict[str, Any]] = []
        for bar in own.iter_rows(named=True):
            history.append({**bar, **{k: exact(bar[k]) for k in ("Open", "High", "Low", "Close")}})
            i = len(history) - 1
            if i < period:
                continue
            this, mother = history[i], history[i - 1]
            slot = _slot(this, params)
            if daily:
                near = get_calendar("XNYS").next(mother["session"]) == this["session"]
            else:
                near = (
                    (this["Timestamp"] - mother["Timestamp"]).total_seconds() == 300
                    and this["session"] == mother["session"]
                    and slot is not None
                    and slot == _slot(mother, params)
                )
            if not near:
                continue
            if params.get("strict"):
                inside = this["High"] < mother["High"] and this["Low"] > mother["Low"]
            else:
                inside = this["High"] <= mother["High"] and this["Low"] >= mother["Low"]
            span = mother["High"] - mother["Low"]
            wanted = exact(params.get("min_mother_atr", 0.0)) * _atr(history, i - 1, period)
            if not inside or span < wanted:
                continue
            whose = this if params.get("entry_level") == "inside_bar" else mother
            sides = _sides(whose["High"], whose["Low"], mother, params, exact(tick))
            if sides["long_entry"] is None and sides["short_entry"] is None:
                continue
            key = (symbol, this["session"], slot)
            counts[key] += 1
            if not daily and counts[key] > params.get("max_setups_per_window", 1):
                continue
            rows.append({"Symbol": symbol, "Timestamp": this["Timestamp"], **sides, "atr": _atr(history, i, period)})
    return rows


def _slot(bar: dict[str, Any], params: dict[str, Any]) -> int | None:
    windows = params.get("session_windows")
    if windows is None:
        return 0
    local = bar["Timestamp"].astimezone(ZoneInfo(params.get("session_zone", "Europe/Berlin"))).strftime("%H:%M")
    return next((i for i, (start, end) in enumerate(windows) if start <= local < end), None)


def _atr(history: list[dict[str, Any]], i: int, period: int) -> Fraction:
    ranges = []
    for j in range(i - period + 1, i + 1):
        bar = history[j]
        candidates = [bar["High"] - bar["Low"]]
        if j > 0:
            close = history[j - 1]["Close"]
            candidates += [abs(bar["High"] - close), abs(bar["Low"] - close)]
        ranges.append(max(candidates))
    return Fraction(sum(ranges), period)


def _sides(
    high: Fraction, low: Fraction, mother: dict[str, Any], params: dict[str, Any], tick: Fraction
) -> dict[str, Any]:
    stop_long, stop_short = mother["Low"], mother["High"]
    cap = params.get("max_stop_ticks")
    if cap is not None:
        stop_long, stop_short = max(stop_long, high - cap * tick), min(stop_short, low + cap * tick)
    reward = exact(params.get("risk_reward", 2.0))
    out = dict.fromkeys(("long_entry", "short_entry", "sl_long", "sl_short", "tp_long", "tp_short"))
    if high != stop_long:
        out |= {"long_entry": high, "sl_long": stop_long, "tp_long": high + reward * (high - stop_long)}
    if low != stop_short:
        out |= {"short_entry": low, "sl_short": stop_short, "tp_short": low - reward * (stop_short - low)}
    return {k: None if v is None else float(v) for k, v in out.items()}
