"""What replay() refuses, and that it shows the first offending rows."""

import datetime as dt

import polars as pl
import pytest
from pydantic import ValidationError

from trading.errors import ContractViolation
from trading.instruments import Instrument
from trading.replay import ReplayConfig, replay

DAY = dt.date(2024, 1, 2)
T = [dt.datetime(2024, 1, 2, 14, 30 + i, tzinfo=dt.UTC) for i in range(6)]
INSTANT = pl.Datetime("us", "UTC")
CONFIG = ReplayConfig.model_validate({"sizing": {"mode": "fixed", "qty": 1}})
PRICES = ("Open", "High", "Low", "Close")


@pytest.fixture
def bars():
    return pl.DataFrame(
        {
            "Symbol": ["A", "A", "A", "B", "B", "B"],
            "Timestamp": T[:3] * 2,
            **{name: [100.0] * 6 for name in PRICES},
            "Volume": [1] * 6,
            "session": [DAY] * 6,
        },
        schema_overrides={"Timestamp": INSTANT},
    )


@pytest.fixture
def signals():
    return pl.DataFrame(
        {
            "Symbol": ["A", "B"],
            "Timestamp": T[:2],
            "long_entry": [101.0, 101.0],
            "short_entry": [99.0, None],
            "sl_long": [99.0, 99.0],
            "sl_short": [101.0, None],
            "tp_long": [105.0, None],
            "tp_short": [95.0, None],
        },
        schema_overrides={"Timestamp": INSTANT},
    )


def set_at(frame, row, **values):
    picked = pl.int_range(pl.len()) == row
    return frame.with_columns(
        pl.when(picked).then(pl.lit(value, dtype=frame.schema[name])).otherwise(name).alias(name)
        for name, value in values.items()
    )


def refusal(bars, signals, instruments=None):
    with pytest.raises(ContractViolation) as caught:
        replay(bars, signals, CONFIG, instruments)
    return caught.value


def test_good_input_passes(bars, signals):
    assert replay(bars, signals, CONFIG).metrics["num_trades"] == 0


@pytest.mark.parametrize(
    ("row", "values", "rule", "shown"),
    [
        (4, {"High": float("nan"), "Volume": 7777}, "price", "7777"),
        (4, {"High": float("inf"), "Volume": 7777}, "price", "7777"),
        (4, {"Low": 0.0, "Volume": 7777}, "price", "7777"),
        (4, {"Low": -1.0}, "price", "-1.0"),
        (4, {"High": 99.25}, "ohlc_bounds", "99.25"),
        (4, {"Low": 100.25}, "ohlc_bounds", "100.25"),
        (4, {"Open": 101.25}, "ohlc_bounds", "101.25"),
        (4, {"Close": 98.25}, "ohlc_bounds", "98.25"),
        (4, {"Volume": -7777}, "volume", "-7777"),
        (4, {"Open": None}, "null", "14:31"),
        (4, {"session": None}, "null", "14:31"),
        (4, {"Timestamp": T[0]}, "duplicate", "14:30"),
        (5, {"Timestamp": T[0]}, "order", "14:30"),
        (4, {"session": dt.date(2023, 12, 29)}, "session_order", "2023-12-29"),
    ],
)
def test_bad_bars_are_refused_and_shown(bars, signals, row, values, rule, shown):
    refused = refusal(set_at(bars, row, **values), signals)
    assert (refused.contract, refused.rule) == ("replay.bars", rule)
    assert shown in refused.details
    assert shown in str(refused)


def test_unsorted_symbols_are_refused(bars, signals):
    assert refusal(pl.concat([bars[3:], bars[:3]]), signals).rule == "order"
    split = pl.concat([bars[:1], bars[3:], bars[1:3]])
    assert refusal(split, signals).rule == "order"


@pytest.mark.parametrize("name", ["Symbol", "Timestamp", "Open", "Volume", "session"])
def test_missing_columns_are_named(bars, signals, name):
    refused = refusal(bars.drop(name), signals)
    assert refused.rule == "columns"
    assert name in str(refused)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("Symbol", pl.Categorical()),
        ("Timestamp", pl.Datetime("ns", "UTC")),
        ("Timestamp", pl.Datetime("us")),
        ("Timestamp", pl.Datetime("us", "America/New_York")),
        ("Open", pl.Float32()),
        ("Close", pl.Int64()),
        ("Volume", pl.Float64()),
        ("session", pl.String()),
    ],
)
def test_other_dtypes_are_refused(bars, signals, name, dtype):
    if dtype == pl.Datetime("us"):
        changed = bars.with_columns(pl.col(name).dt.replace_time_zone(None))
    else:
        changed = bars.with_columns(pl.col(name).cast(dtype))
    refused = refusal(changed, signals)
    assert refused.rule == "dtype"
    assert repr(name) in str(refused)


def test_other_casings_are_refused(bars, signals):
    assert refusal(bars.rename({"Open": "open"}), signals).rule == "columns"
    assert refusal(bars, signals.rename({"sl_long": "SL_long"})).rule == "columns"


@pytest.mark.parametrize(
    ("row", "values", "rule"),
    [
        (0, {"sl_long": 101.0}, "stop_side"),
        (0, {"sl_short": 98.0}, "stop_side"),
        (0, {"tp_long": 101.0}, "target_side"),
        (0, {"tp_short": 99.5}, "target_side"),
        (0, {"sl_long": None}, "incomplete_side"),
        (0, {"sl_short": None}, "incomplete_side"),
        (0, {"long_entry": None}, "incomplete_side"),
        (1, {"tp_short": 95.0}, "incomplete_side"),
        (0, {"tp_long": float("nan")}, "finite"),
        (0, {"long_entry": float("inf")}, "finite"),
        (0, {"short_entry": 0.0, "tp_short": None}, "entry_positive"),
        (0, {"short_entry": 0.004, "tp_short": None}, "entry_positive"),
        (1, {"Symbol": "A", "Timestamp": T[0]}, "duplicate"),
        (1, {"Timestamp": T[4]}, "no_bar"),
        (1, {"Timestamp": T[0] - dt.timedelta(days=1)}, "no_bar"),
        (1, {"Symbol": "C"}, "no_bar"),
        (1, {"Symbol": None}, "null"),
    ],
)
def test_bad_signals_are_refused(bars, signals, row, values, rule):
    refused = refusal(bars, set_at(signals, row, **values))
    assert (refused.contract, refused.rule) == ("replay.signals", rule)
    assert refused.details


def test_only_the_first_rows_are_shown(bars, signals):
    many = pl.concat([bars.with_columns(Symbol=pl.lit(f"S{i:02d}")).head(3) for i in range(20)])
    refused = refusal(many.with_columns(Volume=-pl.int_range(1, 61, dtype=pl.Int64)), signals)
    assert "60 offending row(s)" in str(refused)
    assert "-5" in refused.details
    assert "-6" not in refused.details


def test_a_column_of_nulls_needs_no_dtype(bars, signals):
    untyped = signals.with_columns(tp_long=pl.lit(None), tp_short=pl.lit(None))
    assert untyped.schema["tp_long"] == pl.Null
    assert replay(bars, untyped, CONFIG).metrics["num_trades"] == 0


def test_symbols_must_be_known_when_instruments_are_given(bars, signals):
    refused = refusal(bars, signals, {"A": Instrument(symbol="A")})
    assert refused.rule == "unknown_symbol"
    assert "'B'" in str(refused)


def test_nothing_in_nothing_out(bars, signals):
    empty = replay(bars.clear(), signals.clear(), CONFIG)
    assert empty.trades.height == empty.equity.height == empty.fills.height == empty.rejected.height == 0
    assert empty.metrics["final_cash"] == CONFIG.initial_cash
    no_signals = replay(bars, signals.clear(), CONFIG)
    assert no_signals.trades.schema == empty.trades.schema
    assert no_signals.equity["equity"].to_list() == [10_000.0] * 3


@pytest.mark.parametrize(
    "changes",
    [
        {"initial_cash": 0.0},
        {"initial_cash": float("nan")},
        {"max_leverage": -1.0},
        {"valid_sessions": -1},
        {"max_hold_sessions": 0},
        {"costs": {"fees_bps": -1.0}},
        {"costs": {"slippage_bps": 10_000.0}},
        {"costs": {"spread": 1.0}},
        {"leverage": 1.0},
    ],
)
def test_wrong_configs_are_refused(changes):
    with pytest.raises(ValidationError):
        ReplayConfig.model_validate({**CONFIG.model_dump(), **changes})


def test_the_config_survives_json():
    assert ReplayConfig.model_validate_json(CONFIG.model_dump_json()) == CONFIG
