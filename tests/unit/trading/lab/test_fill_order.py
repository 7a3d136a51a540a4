"""Readings of a bar, against answers worked by hand, and against each other."""

import datetime as dt

import polars as pl
import pytest

from trading.errors import ConfigError
from trading.lab.fill_order import FillOrderSensitivity, fill_order_sensitivity
from trading.replay import ReplayConfig, replay
from trading.replay.fill_order import FILL_ORDERS

from .conftest import answers

CASES = answers("fill_order.csv").to_dicts()
CONFIG = ReplayConfig.model_validate({"sizing": {"mode": "fixed", "qty": 10}, "exit_at_session_end": False})
LEVELS = {
    "L": {"long_entry": 101.0, "sl_long": 99.0, "tp_long": 105.0},
    "S": {"short_entry": 99.0, "sl_short": 101.0, "tp_short": 95.0},
}


def _frames(case):
    start = dt.datetime(2024, 1, 2, 15, tzinfo=dt.UTC)
    times = pl.Series([start + dt.timedelta(minutes=5 * i) for i in range(3)], dtype=pl.Datetime("us", "UTC"))
    prices = {
        name: [100.0, float(case[f"{name.lower()}1"]), float(case[f"{name.lower()}2"])]
        for name in ("Open", "High", "Low", "Close")
    }
    bars = pl.DataFrame(
        {"Symbol": ["A"] * 3, "Timestamp": times, **prices, "Volume": [1, 1, 1], "session": [start.date()] * 3}
    )
    levels = {**dict.fromkeys((*LEVELS["L"], *LEVELS["S"]))}
    for side in case["sides"]:
        levels |= LEVELS[side]
    signals = pl.DataFrame(
        {"Symbol": ["A"], "Timestamp": times[:1], **{name: [value] for name, value in levels.items()}},
        schema_overrides=dict.fromkeys(levels, pl.Float64),
    )
    return bars, signals


@pytest.mark.parametrize("fill_order", FILL_ORDERS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_worked_by_hand(case, fill_order):
    trades = replay(*_frames(case), CONFIG, fill_order=fill_order).trades
    [(side, price, reason)] = trades.select("side", "exit_price", "exit_reason").rows()
    assert f"{side} {price:g} {reason}" == case[fill_order]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_the_rules_are_the_pessimistic_reading(case):
    bars, signals = _frames(case)
    assert replay(bars, signals, CONFIG).trades.equals(replay(bars, signals, CONFIG, fill_order="pessimistic").trades)


def test_an_unknown_order_is_named():
    with pytest.raises(
        ConfigError, match="fill_order 'random' is unknown; there are pessimistic, optimistic, nearest_to_open"
    ):
        replay(*_frames(CASES[0]), CONFIG, fill_order="random")


def test_on_a_market_the_better_reading_gives_more(bars, base):
    """Stops and targets so near that many bars hold both."""
    signals = base.implementation.signals(bars, {"max_stop_ticks": 4, "risk_reward": 1.0, "max_setups_per_window": 5})
    alone = base.replay.model_copy(update={"max_leverage": 1000.0})
    rules = replay(bars, signals, alone)
    found = fill_order_sensitivity(bars, signals, alone, None, rules)
    assert list(found.metrics) == list(FILL_ORDERS)
    assert found.metrics["pessimistic"] == rules.metrics
    pessimistic, optimistic, nearest = (found.metrics[name]["expectancy"] for name in FILL_ORDERS)
    assert pessimistic < nearest < optimistic
    assert found.worst_expectancy == pessimistic


def test_no_trade_is_no_figure():
    metrics = {name: {"expectancy": None if name == "optimistic" else 1.0} for name in FILL_ORDERS}
    assert FillOrderSensitivity(metrics).worst_expectancy is None
