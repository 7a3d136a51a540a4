"""Decisions of one session over many variants and Symbols, and one variant's replays; each timed in a process of its own."""

import argparse
import datetime as dt
import json
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from benchmarks.lake.machine import machine
from resources.lake import open_lake
from resources.lake.publish import Publisher
from resources.ledger import Ledger
from trading.promotion import HORIZONS, horizon_windows
from trading.replay import replay
from trading.sessions import get_calendar
from trading_assets.configured import variant as load_variant
from trading_assets.persons import open_desk
from trading_assets.settings import CONFIGS, Settings

CALENDAR = get_calendar("XNYS")
AS_OF = dt.date(2023, 12, 28)
AT = dt.datetime(2023, 12, 29, 6, tzinfo=dt.UTC)
BARS_A_SESSION = 78
EVERY = 5  # sessions between two trades of a Symbol


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.promotion")
    parser.add_argument("--variants", type=int, default=200)
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--directory", type=Path, default=Path.cwd())
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=given.directory) as name:
        folder = Path(name)
        print(machine(folder))
        settings = prepare(folder, given.variants, given.symbols)
        for title, work, arguments in (
            (f"decisions of one session, {given.variants} variants x {given.symbols} Symbols x 4", decisions, settings),
            (f"replays of one variant, {given.symbols} Symbols x 4 horizons of M5 bars", replays, given.symbols),
        ):
            seconds, cpu, before, peak, says = measured(work, arguments)
            load = os.getloadavg()[0]
            print(
                f"{title}: {seconds:.1f} s, {cpu:.1f} s of processor time, {peak - before:.0f} MB on top of {before:.0f} MB; "
                f"{says}; load {load:.1f}"
            )


def measured(work: Any, argument: Any) -> tuple[float, float, float, float, str]:
    """``work`` in a process of its own: seconds, processor seconds, MB before and at the peak, what it says."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_child, args=(work, argument, queue))
    process.start()
    found: tuple[float, float, float, float, str] = queue.get(timeout=300)
    process.join(60)
    return found


def _child(work: Any, argument: Any, queue: Any) -> None:
    run = work(argument)
    before, start, cpu = _peak(), time.perf_counter(), time.process_time()
    says = run()
    queue.put((time.perf_counter() - start, time.process_time() - cpu, before, _peak(), says))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def decisions(settings: Settings) -> Any:
    """Collect, decide and record, every variant; configs, evidence and ledger are read and written within the time."""

    def run() -> str:
        ledger = Ledger(settings.ledger_url)
        desk = open_desk(settings, open_lake(settings.lake_uri), ledger, AT)
        count = 0
        for file in sorted((settings.configs / "runs").glob("*.yml")):
            made = desk.decide(file.stem, AS_OF)
            count += len(desk.record(made, desk.history.pinned, AT))
        return f"{count} decisions recorded"

    return run


def replays(symbols: int) -> Any:
    """All four horizons of one variant, on one frame of bars."""
    days = CALENDAR.sessions(dt.date(2022, 12, 29), AS_OF)
    bars, signals = _bars(symbols, days)
    windows = horizon_windows(AS_OF, CALENDAR, days)
    config = load_variant(Settings(home=Path()), "risk1").replay
    replay(*_bars(2, days[:3]), config)

    def run() -> str:
        trades = 0
        for horizon in HORIZONS:
            first = windows[horizon].first
            own = bars.filter(pl.col("session") >= first)
            trades += replay(own, signals.filter(pl.col("session") >= first), config).trades.height
        return f"{bars.height:,} bars, {trades:,} trades"

    return run


def _bars(symbols: int, days: list[dt.date]) -> tuple[pl.DataFrame, pl.DataFrame]:
    rng = np.random.default_rng(1)
    count = len(days) * BARS_A_SESSION
    opens = np.array([int(CALENDAR.open(day).timestamp()) for day in days]) * 1_000_000
    stamps = (opens[:, None] + np.arange(BARS_A_SESSION) * 300_000_000).ravel()
    sessions = np.repeat(np.array(days, dtype="datetime64[D]"), BARS_A_SESSION)
    frames = []
    for number in range(symbols):
        close = np.round(100 * np.exp(rng.normal(0, 0.001, count).cumsum()), 2)
        before = np.concatenate([[100.0], close[:-1]])
        wick = np.round(np.abs(rng.normal(0, 0.05, count)), 2)
        frames.append(
            pl.DataFrame(
                {
                    "Symbol": pl.repeat(f"S{number:03d}", count, eager=True),
                    "Timestamp": pl.Series(stamps).cast(pl.Datetime("us", "UTC")),
                    "Open": before,
                    "High": np.maximum(before, close) + wick,
                    "Low": np.minimum(before, close) - wick,
                    "Close": close,
                    "Volume": np.full(count, 100),
                    "session": sessions,
                }
            )
        )
    bars = pl.concat(frames).with_columns(pl.col("session").cast(pl.Date))
    close = pl.col("Close")
    signals = bars.gather_every(BARS_A_SESSION * EVERY, offset=6).select(
        "Symbol", "Timestamp", "session",
        long_entry=close + 0.1, sl_long=close - 0.3, tp_long=close + 0.8,
        short_entry=close - 0.1, sl_short=close + 0.3, tp_short=close - 0.8,
    )  # fmt: skip
    return bars, signals


def prepare(folder: Path, variants: int, symbols: int) -> Settings:
    """A home with a published backtest of every variant, as the asset publishes it."""
    home, configs = folder / "home", folder / "configs"
    home.mkdir()
    shutil.copytree(CONFIGS, configs)
    base = yaml.safe_load((configs / "runs" / "risk1.yml").read_text())
    shutil.rmtree(configs / "runs")
    shutil.rmtree(configs / "sweeps")
    (configs / "runs").mkdir()
    settings = Settings.load(home, env={"TRADING_CONFIGS": str(configs)})
    publisher = Publisher(open_lake(settings.lake_uri), run_id="bench", code_version="1", clock=lambda: AT)
    days = CALENDAR.sessions(dt.date(2022, 12, 29), AS_OF)
    windows = horizon_windows(AS_OF, CALENDAR, days)
    for day in days:
        quality = pl.DataFrame({"Symbol": [f"S{n:03d}" for n in range(symbols)]}).with_columns(
            session=pl.lit(day), passed=pl.lit(value=True)
        )
        publisher.publish("bar_quality", {"session": day.isoformat()}, quality, audit=None, inputs={})
    rng = np.random.default_rng(2)
    for number in range(variants):
        name = f"v{number:03d}"
        content = {**base, "params": {**base["params"], "risk_reward": 1.0 + number / 100}}
        (configs / "runs" / f"{name}.yml").write_text(yaml.safe_dump(content))
        variant = load_variant(settings, name)
        trades, metrics = [], []
        for horizon, window in windows.items():
            rows = symbols * max(1, len(window.available) // EVERY)
            trades.append(
                pl.DataFrame(
                    {
                        "horizon": pl.repeat(horizon, rows, eager=True),
                        "Symbol": [f"S{n % symbols:03d}" for n in range(rows)],
                        "qty": rng.integers(1, 100, rows).astype(float),
                        "entry_price": rng.uniform(50, 150, rows),
                        "exit_price": rng.uniform(50, 150, rows),
                        "pnl": rng.normal(1, 20, rows),
                    }
                )
            )
            metrics.append(
                {
                    "session": AS_OF, "variant": name, "horizon": horizon, "first": window.first, "last": window.last,
                    "expected": window.expected, "available": len(window.available), "reaches_back": True,
                    "currency": "USD", "num_trades": rows, "win_rate": 0.5, "profit_factor": 1.4, "expectancy": 1.0,
                    "sharpe": 1.5, "max_drawdown": 0.05,
                }
            )  # fmt: skip
        manifest = {
            "strategy_version": variant.strategy_version, "config_hash": variant.config_hash, "inputs": {},
            "code_version": "1", "packages": {"exchange-calendars": "4"},
            "causality": {"passed": True, "conclusive": True},
        }  # fmt: skip
        publisher.publish(
            "backtest",
            {"session": AS_OF.isoformat(), "variant": name},
            {
                "data.parquet": pl.DataFrame(metrics),
                "trades.parquet": pl.concat(trades),
                "manifest.json": json.dumps(manifest).encode(),
            },
            audit=None,
            inputs={},
        )
    return settings
