"""Local copies of objects, verified, shared by the processes of one machine.

``objects/ab/<name>`` holds the copies, named by their content; the ones used longest ago go when there are too many.
A path that was handed out is a hard link in a directory of the process that asked, its lease, and so outlives the
removal of the copy. A lease is locked by its process; what dead processes left is swept away.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from resources.lake.errors import CorruptObject, LakeUnavailable
from resources.lake.lakefs.content import Fingerprint

_LOCK: Final = "lock"
_TOTAL: Final = "total"
_KEPT_AFTER_EVICTION = 0.9
_FETCH_ATTEMPTS = 3

_leases: dict[tuple[int, Path], "_Lease"] = {}
_leases_lock = threading.Lock()


@dataclass(slots=True)
class _Lease:
    """This process's hard links below one cache; ``descriptor`` holds the lock until the process ends."""

    directory: Path
    descriptor: int
    checked: set[str]


class LocalCopies:
    """Copies below ``directory``, together at most ``limit`` bytes, those in the making not counted."""

    def __init__(self, directory: Path, limit: int) -> None:
        self._directory = directory
        self._limit = limit

    def held(self, content: Fingerprint) -> Path | None:
        """The read-only local file with this content, if there is one. Raises LakeUnavailable for disk errors."""
        with self._disk_errors():
            lease = self._lease()
            path = lease.directory / content.name
            if content.name in lease.checked and _size(path) == content.size:
                return path
            return self._linked(lease, path, content)

    def get(self, content: Fingerprint, fetch: Callable[[BinaryIO], None], where: str) -> Path:
        """The read-only local file with this content, fetched where there is none.

        Args:
            content: what it must be.
            fetch: writes the content to a file.
            where: the object, for messages.

        Raises:
            CorruptObject: what was fetched is not this content, each time.
            LakeUnavailable: the disk is full or cannot be written.
            LakeError: as ``fetch`` raises.
        """
        held = self.held(content)
        if held is not None:
            return held
        with self._disk_errors():
            lease = self._lease()
            part = lease.directory / f"part-{secrets.token_hex(8)}"
            try:
                for _ in range(_FETCH_ATTEMPTS):
                    with part.open("wb") as file:
                        fetch(file)
                        file.flush()
                        os.fchmod(file.fileno(), 0o444)
                        os.fsync(file.fileno())
                    if content.matches_file(part):
                        return self._installed(lease, part, content)
                    part.unlink()
            finally:
                part.unlink(missing_ok=True)
        raise CorruptObject(f"{where}: what the server sent is not what was put there ({content.name})")

    def _linked(self, lease: _Lease, path: Path, content: Fingerprint) -> Path | None:
        """A link to the copy of another process, or of an earlier one, if it is sound."""
        copy = self._copy(content.name)
        path.unlink(missing_ok=True)
        lease.checked.discard(content.name)
        try:
            path.hardlink_to(copy)
        except FileNotFoundError:
            return None
        if not content.matches_file(path):
            with self._locked():
                copy.unlink(missing_ok=True)
            path.unlink()
            return None
        with contextlib.suppress(FileNotFoundError):
            os.utime(copy)  # used now: what was used longest ago goes first
        lease.checked.add(content.name)
        return path

    def _installed(self, lease: _Lease, part: Path, content: Fingerprint) -> Path:
        path, copy = lease.directory / content.name, self._copy(content.name)
        part.replace(path)
        lease.checked.add(content.name)
        with self._locked():
            copy.parent.mkdir(parents=True, exist_ok=True)
            self._make_room(content.size)
            with contextlib.suppress(FileExistsError):
                copy.hardlink_to(path)
        return path

    def _make_room(self, size: int) -> None:
        """Count ``size`` more bytes; where that is too many, remove what was used longest ago."""
        total = self._directory / _TOTAL
        try:
            counted = int(total.read_text())
        except (FileNotFoundError, ValueError):
            counted = self._limit  # never counted, or by a process that was killed meanwhile
        if counted + size > self._limit:
            counted = self._evict(size)
            self._sweep()
        total.write_text(str(counted + size))

    def _evict(self, size: int) -> int:
        """Bytes of the copies that stay, so that ``size`` more have room."""
        copies = [(path, path.stat()) for path in (self._directory / "objects").glob("*/*")]
        kept = sum(status.st_size for _, status in copies)
        if kept + size <= self._limit:
            return kept
        room = max(0, int(self._limit * _KEPT_AFTER_EVICTION) - size)
        for path, status in sorted(copies, key=lambda copy: copy[1].st_mtime_ns):
            if kept <= room:
                break
            path.unlink()
            kept -= status.st_size
        return kept

    def _copy(self, name: str) -> Path:
        return self._directory / "objects" / name[-2:] / name

    def _lease(self) -> _Lease:
        """This process's lease; a forked child makes one of its own."""
        key = (os.getpid(), self._directory)
        with _leases_lock:
            lease = _leases.get(key)
            if lease is None:
                lease = _leases[key] = self._take_lease()
            return lease

    def _take_lease(self) -> _Lease:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory = self._directory / "leases" / f"{os.getpid()}-{secrets.token_hex(4)}"
        with self._locked():
            self._sweep()
            directory.mkdir(parents=True)
            descriptor = os.open(directory / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        return _Lease(directory, descriptor, set())

    def _sweep(self) -> None:
        """Remove the leases of processes that are no more."""
        for directory in (self._directory / "leases").glob("*"):
            try:
                descriptor = os.open(directory / _LOCK, os.O_RDWR)
            except FileNotFoundError:
                shutil.rmtree(directory, ignore_errors=True)
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
            except BlockingIOError:
                pass  # its process lives
            finally:
                os.close(descriptor)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among the processes and threads that change which copies there are."""
        descriptor = os.open(self._directory / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            advice = "make room there, or " if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
            raise LakeUnavailable(
                f"cache {self._directory}: {error.strerror or error}; {advice}"
                "name another directory by ?cache=DIRECTORY in the lake's URI"
            ) from error


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
