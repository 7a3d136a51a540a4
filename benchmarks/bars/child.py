"""One way, once, in a process of its own: ``python -m benchmarks.bars.child WAY M1 OUT`` prints what it took as JSON."""

import json
import sys
import time
from pathlib import Path

from benchmarks.bars.ways import WAYS


def main() -> None:
    way, m1, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    run = WAYS[way]()
    files = sorted(m1.glob("*/data.parquet"))
    cpu, begun = time.process_time(), time.perf_counter()
    run(files, out)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak_bytes()}))


def peak_bytes() -> int:
    """Most memory that this process had at once. getrusage would count what its parent had before it began."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
