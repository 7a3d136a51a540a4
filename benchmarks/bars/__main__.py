"""``python -m benchmarks.bars``: measures resampling and a backfill, and prints the tables."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.bars.data import FULL, QUICK, Market, make
from benchmarks.bars.report import Backfill, as_markdown, claims
from benchmarks.bars.resampling import Measured, resample_in_turn, rows_in
from benchmarks.bars.ways import WAYS
from benchmarks.lake.machine import machine

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    arguments = _arguments()
    sizes = QUICK if arguments.quick else FULL

    def say(what: str) -> None:
        print(f"... {what}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix=".bench-", dir=arguments.directory) as name:
        directory = Path(name).resolve()
        about = machine(directory)
        market = make(arguments.data.resolve() if arguments.data else directory, sizes, say)
        found: dict[str, Measured] = {}
        if "resampling" in arguments.parts:
            ways = [way for way in WAYS if not arguments.ways or way in arguments.ways]
            found = resample_in_turn(market, ways, sizes.rounds, directory, say)
        backfill = _backfill(market, directory, say) if "backfill" in arguments.parts else None
        rows = rows_in(market)
    print(as_markdown(about, rows, found, backfill, claims(found, backfill)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bars", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, its figures mean nothing")
    parser.add_argument("--parts", nargs="*", choices=("resampling", "backfill"), default=("resampling", "backfill"))
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), metavar="WAY", help=f"which of: {', '.join(WAYS)}")
    parser.add_argument("--data", type=Path, help="folder to keep the market in, and to take it from the next time")
    parser.add_argument(
        "--directory", type=Path, default=ROOT, help="on the disk that is meant; a temporary one is made inside it"
    )
    return parser.parse_args()


def _backfill(market: Market, directory: Path, say: Callable[[str], None]) -> Backfill:
    bare = _child("bare", market, directory, say)
    platform = _child("platform", market, directory, say)
    return Backfill(
        bare=(bare["seconds"], bare["cpu_seconds"], bare["peak_bytes"]),
        platform=(platform["seconds"], platform["cpu_seconds"], platform["peak_bytes"]),
        partitions=int(platform["partitions"]),
        events=int(platform["events"]),
        event_seconds=platform["event_seconds"],
        event_cpu_seconds=platform["event_cpu_seconds"],
    )


def _child(way: str, market: Market, directory: Path, say: Callable[[str], None]) -> dict[str, float]:
    say(f"backfill: {'the bare computation' if way == 'bare' else 'by the platform'}")
    out = directory / way
    out.mkdir()
    os.sync()
    command: Sequence[str] = [sys.executable, "-m", "benchmarks.bars.backfill", way, str(market.package), str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=3600)
    if done.returncode:
        raise RuntimeError(f"the backfill ({way}) failed:\n{done.stderr[-2000:]}")
    took: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return took


if __name__ == "__main__":
    main()
