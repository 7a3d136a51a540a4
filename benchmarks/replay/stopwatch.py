"""Takes the time and the memory of the parts of a way that count."""

import time
from pathlib import Path


class Stopwatch:
    """``with stopwatch:`` runs as often as wanted; seconds by the clock and of processor time add up."""

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = 0.0

    def __enter__(self) -> None:
        self._cpu, self._begun = time.process_time(), time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._begun
        self.cpu_seconds += time.process_time() - self._cpu


def resident_bytes(what: str = "VmRSS") -> int:
    """Memory of this process: now (``VmRSS``), or the most since :func:`forget_peak` (``VmHWM``)."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) * 1024


def forget_peak() -> None:
    """The most is counted anew from here."""
    Path("/proc/self/clear_refs").write_text("5")
