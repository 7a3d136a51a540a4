"""Minutes to 5-minute bars by each way in turn, and whether they came to the same bars."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import polars as pl

from benchmarks.bars.data import Market
from benchmarks.bars.ways import OURS, READING

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Measured:
    """Runs of one way."""

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_bytes: list[float] = field(default_factory=list)


def resample_in_turn(
    market: Market, ways: Sequence[str], rounds: int, directory: Path, say: Callable[[str], None]
) -> dict[str, Measured]:
    """Each way ``rounds`` times, another one first in each round, and with files that the memory already holds.

    Raises:
        RuntimeError: two ways came to different bars, or one failed.
    """
    found = {way: Measured() for way in ways}
    digests: dict[str, pl.DataFrame] = {}
    _run(READING, market, directory / "warm")
    for number in range(rounds):
        turn = number % len(ways)
        for way in [*ways[turn:], *ways[:turn]]:
            say(f"round {number + 1} of {rounds}: {way}")
            out = directory / "out"
            took = _run(way, market, out)
            for name, value in took.items():
                getattr(found[way], name).append(value)
            if way != READING and way not in digests:
                digests[way] = digest(out)
                if not digests[way].equals(digests.get(OURS, digests[way])):
                    raise RuntimeError(f"{way} came to other bars than {OURS}:\n{digests[way]}\n{digests[OURS]}")
            shutil.rmtree(out)
    return found


def _run(way: str, market: Market, out: Path) -> dict[str, float]:
    out.mkdir()
    os.sync()  # no one pays for what another one wrote
    command = [sys.executable, "-m", "benchmarks.bars.child", way, str(market.m1), str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        raise RuntimeError(f"{way} failed:\n{done.stderr[-2000:]}")
    took: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return took


def digest(out: Path) -> pl.DataFrame:
    """Counts and sums of all bars that were written; a price in the wrong bar changes them."""
    at = pl.col("Timestamp").dt.epoch("s") // 60 % 9973
    cents = [((pl.col(name) * 100).round().cast(pl.Int64) * at).sum() for name in ("Open", "High", "Low", "Close")]
    bars = pl.scan_parquet(sorted(out.glob("*.parquet")), hive_partitioning=False, extra_columns="ignore")
    columns = ["Symbol", "Timestamp", "Open", "High", "Low", "Close", "Volume"]
    stamps = pl.col("Timestamp").cast(pl.Datetime("us", "UTC"))
    return (
        bars.select(*columns)
        .with_columns(stamps)
        .select(pl.len().alias("rows"), pl.col("Symbol").n_unique(), (pl.col("Volume") * at).sum(), *cents)
        .collect()
    )


def rows_in(market: Market) -> int:
    return int(pl.scan_parquet(market.files(), hive_partitioning=False).select(pl.len()).collect().item())


def typical(measured: Measured) -> tuple[float, float, float]:
    """Median seconds, median seconds of processor time, highest peak in bytes."""
    return median(measured.seconds), median(measured.cpu_seconds), max(measured.peak_bytes)
