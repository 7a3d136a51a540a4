"""One line about the machine, without which no figure means anything."""

import os
import platform
from importlib.metadata import version
from pathlib import Path


def machine(directory: Path) -> str:
    """Processor, memory, the file system below ``directory``, versions, and how busy it all was."""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = [
        f"{os.cpu_count()} x {_processor()}, {gigabytes:.0f} GB",
        f"{platform.system()} {platform.release()}",
        f"{_file_system(directory)}",
        f"Python {platform.python_version()}, polars {version('polars')}, DuckDB {version('duckdb')}",
        f"load {os.getloadavg()[0]:.1f} at the start",
    ]
    return "; ".join(parts)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(directory: Path) -> str:
    mounts = [line.split()[:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [str(directory), *map(str, directory.parents)]
    device, _, kind = max(
        (mount for mount in mounts if mount[1] in above), key=lambda mount: len(mount[1]), default=("?", "?", "?")
    )
    return f"{kind} on {device}"
