"""Artefacts of a backtest, worked out by hand: two trades of ten, one of shares, one of contracts."""

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading.contracts import validate
from trading.errors import ConfigError, ContractViolation
from trading.instruments import Instrument
from trading.lab import amounts
from trading.lab.artefacts import (
    EQUITY,
    FILLED_ORDERS,
    LABEL,
    MANIFEST,
    METRICS,
    METRICS_TEXT,
    NAMES,
    TRADES,
    Artefacts,
    BacktestRun,
    Extra,
    HorizonReplay,
    build_artefacts,
    session_closes,
)
from trading.lab.backtest_contracts import CONTRACTS
from trading.promotion.horizons import HorizonWindow
from trading.replay import replay
from trading.variants import Variant

ANSWERS = Path(__file__).parents[3] / "answers" / "lab"
DAY = dt.date(2024, 1, 2)
OPEN = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
INSTRUMENTS = {"AAA": Instrument(symbol="AAA"), "BBB": Instrument(symbol="BBB", unit="contracts")}
VARIANT = Variant.from_config(
    {
        "name": "hand",
        "strategy": "insidebar_intraday",
        "replay": {
            "initial_cash": 100_000.0,
            "costs": {"fees_bps": 2.0},
            "sizing": {"mode": "fixed", "qty": 10.0},
        },
    }
)
LEVELS = ("long_entry", "sl_long", "tp_long", "short_entry", "sl_short", "tp_short")


def at(minute: int) -> dt.datetime:
    return OPEN + dt.timedelta(minutes=minute)


def bars() -> pl.DataFrame:
    rows = [
        ("AAA", 0, 99.0, 99.5, 98.5, 99.0),
        ("AAA", 1, 99.0, 101.0, 99.0, 100.5),
        ("AAA", 2, 101.0, 105.0, 100.5, 104.5),
        ("BBB", 0, 50.5, 50.9, 50.2, 50.5),
        ("BBB", 1, 50.5, 50.8, 49.5, 50.2),
        ("BBB", 2, 50.2, 51.2, 50.0, 51.0),
    ]
    return pl.DataFrame(
        [
            {"Symbol": s, "Timestamp": at(m), "Open": o, "High": h, "Low": low, "Close": c, "Volume": 1, "session": DAY}
            for s, m, o, h, low, c in rows
        ],
        schema_overrides={"Timestamp": pl.Datetime("us", "UTC")},
    )


def signals() -> pl.DataFrame:
    long, short = (100.0, 98.0, 104.0), (50.0, 51.0, 48.0)
    rows = [("AAA", at(0), *long, None, None, None), ("BBB", at(0), None, None, None, *short)]
    schema = {"Symbol": pl.String, "Timestamp": pl.Datetime("us", "UTC"), **dict.fromkeys(LEVELS, pl.Float64)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def run_of(given: pl.DataFrame, instruments: dict[str, Instrument] = INSTRUMENTS) -> BacktestRun:
    result = replay(bars(), given, VARIANT.replay, instruments)
    window = HorizonWindow("1m", DAY, DAY, 1, (DAY,))
    whole = HorizonReplay(window, True, result, session_closes(result.equity, bars()))
    return BacktestRun(
        variant=VARIANT,
        as_of=DAY,
        horizons={"1m": whole, "3m": replace(whole, window=replace(window, horizon="3m"), reaches_back=False)},
        instruments=instruments,
        inputs={"m5_bars": {"partitions": 1, "last_commit": "abc"}},
        causality={"passed": True, "seed": 3},
        code_version="1.0",
        packages={"polars": "2"},
    )


@pytest.fixture(scope="module")
def made() -> Artefacts:
    return build_artefacts(run_of(signals()))


def frame(made: Artefacts, name: str) -> pl.DataFrame:
    found = made.files[name]
    assert isinstance(found, pl.DataFrame)
    return found


def text(made: Artefacts, name: str) -> Any:
    found = made.files[name]
    assert isinstance(found, bytes)
    return json.loads(found) if name.endswith(".json") else found.decode()


def answer(name: str) -> pl.DataFrame:
    return pl.read_csv(ANSWERS / f"{name}.csv")


def test_all_files_are_there(made: Artefacts) -> None:
    assert set(made.files) == set(NAMES)


@pytest.mark.parametrize("horizon", ["1m", "3m"])
@pytest.mark.parametrize(("file", "name"), [(FILLED_ORDERS, "filled_orders"), (TRADES, "trades")])
def test_amounts_by_hand(made: Artefacts, file: str, name: str, horizon: str) -> None:
    expected = answer(name)
    got = frame(made, file).filter(pl.col("horizon") == horizon)
    if "minute" in expected.columns:
        got = got.with_columns(minute=(pl.col("time") - OPEN).dt.total_minutes())
    got = got.select(expected.columns)
    assert_frame_equal(got, expected, check_dtypes=False, abs_tol=1e-9)


def test_frames_keep_their_contracts(made: Artefacts) -> None:
    for file, contract in CONTRACTS.items():
        validate(frame(made, file), contract)


@pytest.mark.parametrize(
    ("file", "change", "rule"),
    [
        (TRADES, pl.col("notional") + 1, "notional"),
        (TRADES, pl.col("pnl") + 1, "pnl"),
        (TRADES, pl.lit(None, pl.String).alias("currency"), "null"),
        (FILLED_ORDERS, -pl.col("notional"), "notional_positive"),
        (FILLED_ORDERS, pl.lit("both").alias("kind"), "kind"),
        (EQUITY, pl.col("equity") + 1, "equity"),
    ],
)
def test_wrong_amounts_break_the_contract(made: Artefacts, file: str, change: pl.Expr, rule: str) -> None:
    with pytest.raises(ContractViolation) as broken:
        validate(frame(made, file).with_columns(change), CONTRACTS[file])
    assert broken.value.rule == rule


def test_the_label_speaks(made: Artefacts) -> None:
    assert made.label == "IB · Fixed 10 · 100k · fees 2bps · 2 trades · WR 0.50 · PnL +29.39"
    assert text(made, LABEL) == f"{made.label}\n"


def test_the_equity_curve_is_the_last_of_each_session(made: Artefacts) -> None:
    curve = frame(made, EQUITY)
    assert curve["horizon"].to_list() == ["1m", "3m"]
    assert curve["Timestamp"].to_list() == [at(2)] * 2
    assert curve["equity"].to_list() == pytest.approx([100_029.39] * 2)
    assert curve["currency"].unique().to_list() == ["USD"]


def test_metrics_say_what_they_are_measured_in(made: Artefacts) -> None:
    told = text(made, METRICS_TEXT)
    assert (told["currency"], told["quantity_units"]) == ("USD", ["contracts", "shares"])
    figures = told["horizons"]["3m"]
    assert figures["net_pnl"] == pytest.approx(29.39)
    assert told["units"]["net_pnl"] == "USD"
    rows = frame(made, METRICS)
    plain = {"session", "variant", "horizon", "first", "last", "expected", "available", "reaches_back", "currency"}
    assert set(told["units"]) == set(rows.columns) - plain
    assert rows["reaches_back"].to_list() == [True, False]


def test_the_manifest_names_inputs_configuration_code_seeds_and_packages(made: Artefacts) -> None:
    told = text(made, MANIFEST)
    assert told["inputs"] == {"m5_bars": {"partitions": 1, "last_commit": "abc"}}
    assert told["variant"] == VARIANT.model_dump(mode="json")
    assert (told["config_hash"], told["strategy_version"]) == (VARIANT.config_hash, VARIANT.strategy_version)
    assert (told["code_version"], told["seeds"], told["packages"]) == ("1.0", {"causality": 3}, {"polars": "2"})


def test_the_same_run_gives_the_same_files(made: Artefacts) -> None:
    again = build_artefacts(run_of(signals()))
    for name, content in made.files.items():
        other = again.files[name]
        assert content.equals(other) if isinstance(content, pl.DataFrame) else content == other, name  # type: ignore[arg-type]


def test_a_run_without_a_trade_has_all_files_too() -> None:
    empty = build_artefacts(run_of(signals().clear()))
    assert empty.label.endswith("0 trades · WR n/a · PnL +0.00")
    for file, contract in CONTRACTS.items():
        validate(frame(empty, file), contract)
    assert frame(empty, TRADES).schema == frame(build_artefacts(run_of(signals())), TRADES).schema


def test_several_currencies_are_refused() -> None:
    mixed = {**INSTRUMENTS, "BBB": Instrument(symbol="BBB", currency="EUR")}
    with pytest.raises(ConfigError, match=r"EUR: BBB; USD: AAA.*universe"):
        build_artefacts(run_of(signals(), mixed))
    assert amounts.currency_of({}) == "USD"


def test_extras_add_files_and_figures(made: Artefacts) -> None:
    def statistics(run: BacktestRun) -> Extra:
        trades = run.horizons[run.longest].result.trades
        return Extra({"statistics.json": str(trades.height).encode()}, {"checked": trades.height})

    more = build_artefacts(run_of(signals()), extras=[statistics])
    assert set(more.files) - set(made.files) == {"statistics.json"}
    assert (more.files["statistics.json"], more.metadata) == (b"2", {"checked": 2})
    with pytest.raises(AssertionError, match=r"trades\.parquet"):
        build_artefacts(run_of(signals()), extras=[lambda run: Extra({TRADES: b""})])
