"""One way, once, in a process of its own: ``python -m benchmarks.replay.child WAY WORK FOLDER WARM`` prints JSON.

``cold``: seconds from the import of ``trading.replay`` to the end of a first small replay, of this platform alone. What a
way compiles, it compiles on the small works in ``WARM`` before the clock runs.
"""

import json
import sys
import time
from pathlib import Path

_UNTIL_FREED = 1.5  # seconds until polars' allocator has given back what it read the files with


def main() -> None:
    way, work, folder, warm = sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
    cold = _cold_start(warm / "brackets")
    from benchmarks.replay.data import Work
    from benchmarks.replay.stopwatch import Stopwatch, forget_peak, resident_bytes
    from benchmarks.replay.ways import WORKS

    run = WORKS[work][way]
    small = Work(warm / work)
    run(small.bars(), small.signals(), Stopwatch())
    bars, signals = Work(folder).bars(), Work(folder).signals()
    time.sleep(_UNTIL_FREED)
    before = resident_bytes()
    forget_peak()
    stopwatch = Stopwatch()
    outcome = run(bars, signals, stopwatch)
    inputs = bars.estimated_size() + signals.estimated_size()
    print(
        json.dumps(
            {
                "seconds": stopwatch.seconds,
                "cpu_seconds": stopwatch.cpu_seconds,
                "peak_bytes": resident_bytes("VmHWM"),
                "used_bytes": inputs + resident_bytes("VmHWM") - before,
                "input_bytes": inputs,
                "cold": cold,
                "trades": outcome.trades,
                "pnl": outcome.pnl,
            }
        )
    )


def _cold_start(warm: Path) -> float:
    import polars as pl

    bars = pl.read_ipc(warm / "bars.arrow")
    signals = pl.read_ipc(warm / "signals.arrow")
    begun = time.perf_counter()
    from trading.replay import ReplayConfig, replay

    replay(bars, signals, ReplayConfig())
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
