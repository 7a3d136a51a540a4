"""The signal frame's contract, in both of its forms: the registered one and the cheap one of hot paths."""

import datetime as dt

import polars as pl
import pytest

from trading.contracts import validate
from trading.errors import ContractViolation
from trading.strategies import LEVELS, SIGNAL_COLUMNS, Params, Strategy, check_signals

GOOD = {
    "Symbol": "AA",
    "Timestamp": dt.datetime(2024, 1, 3, 15, tzinfo=dt.UTC),
    "long_entry": 10.0,
    "short_entry": 9.0,
    "sl_long": 9.0,
    "sl_short": 10.0,
    "tp_long": 12.0,
    "tp_short": 7.0,
}


def _frame(**changes):
    return pl.DataFrame([{**GOOD, **changes}], schema=dict(SIGNAL_COLUMNS))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"sl_long": None}, "long_without_stop"),
        ({"long_entry": None}, "long_without_stop"),
        ({"sl_short": None}, "short_without_stop"),
        ({"long_entry": None, "sl_long": None}, "target_without_entry_long"),
        ({"short_entry": None, "sl_short": None}, "target_without_entry_short"),
        (dict.fromkeys(LEVELS), "no_side"),
        ({"sl_long": 10.0}, "sl_long"),
        ({"tp_long": 10.0}, "tp_long"),
        ({"sl_short": 9.0}, "sl_short"),
        ({"tp_short": 9.5}, "tp_short"),
        ({"tp_long": float("inf")}, "level_not_finite"),
        ({"sl_long": float("nan")}, "level_not_finite"),
        ({"short_entry": -1.0, "tp_short": -2.0}, "entry_not_positive"),
    ],
)
def test_each_rule_is_kept_by_both_forms(changes, rule):
    frame = _frame(**changes)
    with pytest.raises(ContractViolation) as cheap:
        check_signals(frame)
    assert cheap.value.rule == rule
    with pytest.raises(ContractViolation) as full:
        validate(frame, "signals")
    assert full.value.rule == rule
    assert "AA" in full.value.details


def test_good_frames_pass():
    absent_short = _frame(short_entry=None, sl_short=None, tp_short=None)
    for frame in (_frame(), absent_short, _frame(tp_long=None), _frame().clear()):
        with_meta = frame.with_columns(meta_note=pl.lit("x"))
        assert check_signals(with_meta).equals(with_meta)
        assert validate(with_meta, "signals").equals(with_meta)


@pytest.mark.parametrize("check", [check_signals, lambda frame: validate(frame, "signals")])
def test_columns_dtypes_and_keys(check):
    cases = {
        "unexpected_column": _frame().with_columns(note=pl.lit("x")),
        "missing_column": _frame().drop("tp_short"),
        "dtype": _frame().with_columns(pl.col("tp_long").cast(pl.Int64)),
        "naive_timestamp": _frame().with_columns(pl.col("Timestamp").dt.replace_time_zone(None)),
        "sorted_unique": pl.concat([_frame(), _frame()]),
        "null": _frame(Symbol=None),
    }
    for rule, frame in cases.items():
        with pytest.raises(ContractViolation) as error:
            check(frame)
        assert error.value.rule == rule


class _Stray(Strategy[Params]):
    name = "stray"
    short_name = "ST"
    timeframes = ("5m",)
    parameters = Params

    def warmup(self, params):
        return 0

    def compute(self, bars, params, instruments):
        return _frame()


def test_a_strategy_of_others_is_held_to_the_contract(frames):
    bars = frames.random_bars(["AA"], 1)
    with pytest.raises(ContractViolation, match="strategy stray: no_such_bar"):
        _Stray().signals(bars)
