"""Frames from plain cases, and the independent reference, loaded by path as it is no package."""

import datetime as dt
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import polars as pl
import pytest

from trading.instruments import Instrument
from trading.replay import ReplayConfig

ORACLE = Path(__file__).parents[3] / "oracle"
INSTANT = pl.Datetime("us", "UTC")
LEVELS = ("long_entry", "sl_long", "tp_long", "short_entry", "sl_short", "tp_short")


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"_oracle_{name}", ORACLE / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def oracle() -> SimpleNamespace:
    return SimpleNamespace(
        replay=_load("replay_reference").reference_replay, random_case=_load("replay_cases").random_case, frames=frames
    )


def bars_frame(bars: list[dict]) -> pl.DataFrame:
    first = dt.date(2024, 1, 2)
    rows = sorted(bars, key=lambda b: (b["symbol"], b["time"]))
    return pl.DataFrame(
        {
            "Symbol": [b["symbol"] for b in rows],
            "Timestamp": pl.Series([b["time"] for b in rows], dtype=pl.Int64).cast(INSTANT),
            "Open": [b["o"] for b in rows],
            "High": [b["h"] for b in rows],
            "Low": [b["l"] for b in rows],
            "Close": [b["c"] for b in rows],
            "Volume": [100] * len(rows),
            "session": [first + dt.timedelta(days=b["session"]) for b in rows],
        },
        schema={
            "Symbol": pl.String,
            "Timestamp": INSTANT,
            **dict.fromkeys(("Open", "High", "Low", "Close"), pl.Float64),
            "Volume": pl.Int64,
            "session": pl.Date,
        },
    )


def signals_frame(signals: list[dict]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "Symbol": [s["symbol"] for s in signals],
            "Timestamp": pl.Series([s["time"] for s in signals], dtype=pl.Int64).cast(INSTANT),
            **{name: [s[name] for s in signals] for name in LEVELS},
        },
        schema={"Symbol": pl.String, "Timestamp": INSTANT, **dict.fromkeys(LEVELS, pl.Float64)},
    )


def frames(case: tuple) -> tuple[pl.DataFrame, pl.DataFrame, ReplayConfig, dict[str, Instrument]]:
    bars, signals, config, instruments = case
    return (
        bars_frame(bars),
        signals_frame(signals),
        ReplayConfig.model_validate(config),
        {
            s: Instrument(symbol=s, tick_size=i["tick"], lot_size=i["lot"], min_qty=i["min_qty"])
            for s, i in instruments.items()
        },
    )
