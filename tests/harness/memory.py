"""A folder in memory for the temporary files of one run of the tests.

Hundreds of tests have stores of their own that wait for the disk at every commit, and none is about a loss of power.
"""

import fcntl
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM = 4 << 30
_PREFIX = "trading-tests-"


@dataclass(frozen=True)
class MemoryFolder:
    """Locked as long as its run lives, so that the next run can tell what a killed one left behind."""

    path: Path
    lock: int

    def close(self) -> None:
        """Give the memory back, but for what pytest keeps of tests that failed: that stays until the next run."""
        if not any(kept.is_dir() for kept in self.path.glob("pytest-of-*/pytest-*")):
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


def memory_folder() -> MemoryFolder | None:
    """A new one, which is from now on where this process and those that it starts put temporary files.

    None where there is no file system in memory with `ROOM` bytes to spare.
    """
    if not os.access(MEMORY, os.W_OK | os.X_OK):
        return None
    for left in MEMORY.glob(f"{_PREFIX}*"):
        if (lock := _locked(left)) is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(lock)
    if shutil.disk_usage(MEMORY).free < ROOM:
        return None
    path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=MEMORY))
    path.chmod(0o755)  # PostgreSQL runs as another user below it
    lock = _locked(path)
    assert lock is not None
    os.environ["TMPDIR"] = str(path)
    tempfile.tempdir = None  # asks the environment again
    return MemoryFolder(path, lock)


def _locked(folder: Path) -> int | None:
    """The descriptor that holds the lock of ``folder``; None where another process has it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
