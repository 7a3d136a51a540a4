"""Time, fairly: peers take turns, and what one left to be written is not paid by the next."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol


class Measured(Protocol):
    """See :class:`benchmarks.lake.peer.Peer`."""

    @property
    def not_counted(self) -> float: ...


def milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1e3


def counted(peer: Measured, work: Callable[[], object]) -> float:
    """Milliseconds of ``work`` without what the peer says does not count."""
    before = peer.not_counted
    return milliseconds(work) - (peer.not_counted - before)


def settled(peer: Measured, work: Callable[[], object]) -> float:
    """As :func:`counted`, begun when the disk has nothing left to do."""
    os.sync()
    return counted(peer, work)


def write_synced(path: Path, data: bytes) -> None:
    """The yardstick: write a file, fsync it, put it in place, fsync its directory."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """fsync a file or a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_all(paths: Iterable[Path]) -> None:
    for path in paths:
        sync(path)


def changed_below(root: Path, since: float) -> list[Path]:
    """Files and directories which changed after ``since`` (seconds since 1970), a file with two names once."""
    found: dict[int, Path] = {}
    for directory, _, files in os.walk(root):
        for path in (Path(directory), *(Path(directory, name) for name in files)):
            state = path.lstat()
            if state.st_ctime >= since and not path.is_symlink():
                found[state.st_ino] = path
    return list(found.values())
