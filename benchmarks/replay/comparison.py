"""The ways in turn, each in a process of its own, and whether those of the same rules came to the same trades."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.replay.data import CONFIG, Work
from benchmarks.replay.ways import NAUTILUS, SAME_RULES, missing

ROOT = Path(__file__).resolve().parents[2]
NAUTILUS_PYTHON = ROOT / ".tools" / "nautilus" / "bin" / "python"
_LIMIT = 1800.0
_SAME_PNL = 1e-9


@dataclass
class Measured:
    """Runs of one way; the inputs' bytes, the trades and their pnl are the same in each."""

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_bytes: list[float] = field(default_factory=list)
    used_bytes: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    input_bytes: int = 0
    trades: int = 0
    pnl: float = 0.0

    @property
    def typical(self) -> float:
        """Median seconds."""
        return median(self.seconds)


def skipped(way: str, nautilus: Path) -> str | None:
    """Why a way cannot run here; None = it can."""
    if way == NAUTILUS:
        return None if nautilus.exists() else f"there is no {nautilus}"
    needed = missing(way)
    return None if needed is None else f"{needed} is not installed"


def in_turn(
    name: str,
    work: Work,
    warm: Path,
    ways: Sequence[str],
    rounds: int,
    nautilus: Path,
    say: Callable[[str], None],
) -> dict[str, Measured]:
    """Each way ``rounds`` times, another one first in each round.

    Raises:
        RuntimeError: a way failed, or two of the same rules came to different trades.
    """
    found = {way: Measured() for way in ways}
    for number in range(rounds):
        turn = number % len(ways)
        for way in [*ways[turn:], *ways[:turn]]:
            say(f"{name}, round {number + 1} of {rounds}: {way}")
            took = _run(way, name, work.directory, warm, nautilus)
            measured = found[way]
            for figure in ("seconds", "cpu_seconds", "peak_bytes", "used_bytes", "cold"):
                getattr(measured, figure).append(took[figure])
            measured.input_bytes = int(took.get("input_bytes", 0))
            measured.trades, measured.pnl = int(took["trades"]), float(took["pnl"])
    check(found)
    return found


def check(found: dict[str, Measured]) -> None:
    """RuntimeError where ways of the same rules differ in the number of trades, or in pnl by more than rounding."""
    same = {way: found[way] for way in SAME_RULES if way in found}
    for way, measured in same.items():
        first, expected = next(iter(same.items()))
        agree = math.isclose(measured.pnl, expected.pnl, rel_tol=_SAME_PNL, abs_tol=1e-6)
        if measured.trades != expected.trades or not agree:
            raise RuntimeError(
                f"{way} came to {measured.trades} trades and a pnl of {measured.pnl}, "
                f"{first} to {expected.trades} and {expected.pnl}"
            )


def _run(way: str, name: str, folder: Path, warm: Path, nautilus: Path) -> dict[str, Any]:
    os.sync()  # no one pays for what another one wrote
    if way == NAUTILUS:
        worker = ROOT / "benchmarks" / "nautilus" / "worker.py"
        command = [str(nautilus), str(worker), str(folder), CONFIG.model_dump_json()]
    else:
        command = [sys.executable, "-m", "benchmarks.replay.child", way, name, str(folder), str(warm)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_LIMIT)
    if done.returncode:
        raise RuntimeError(f"{way} failed:\n{done.stderr[-2000:]}")
    took: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return took
