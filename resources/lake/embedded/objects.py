"""Immutable files named by the SHA-256 of their content, each stored once."""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from resources.lake.errors import CorruptObject, Gone, LakeUnavailable, PreconditionFailed

_BLOCK = 1 << 20
_HASHED_ASIDE = 1 << 18  # bytes from which a thread for the hash costs less than the hash
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
_DISK_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM, errno.EMFILE}
)
_VERIFIED_FILES = 4096


class ObjectFiles:
    """``objects/ab/abcd...`` below a directory, written to ``tmp/`` and renamed into place."""

    def __init__(self, directory: Path) -> None:
        self.objects = directory / "objects"
        self.temporary = directory / "tmp"
        self._verified: set[tuple[str, int, int, int]] = set()

    def create(self) -> None:
        """Make the directories where they are not there yet."""
        try:
            if (self.objects / "ff").is_dir():  # the last one made
                return
            self.temporary.mkdir(parents=True, exist_ok=True)
            for first in range(256):
                (self.objects / f"{first:02x}").mkdir(parents=True, exist_ok=True)
            _sync_directory(self.objects)
        except OSError as error:
            raise LakeUnavailable(f"{self.objects}: a lake cannot be made here: {error}") from error

    def path(self, checksum: str) -> Path:
        return self.objects / checksum[:2] / checksum

    def exists(self, checksum: str) -> bool:
        with _disk_errors(self.objects):
            return self.path(checksum).exists()

    def write(self, data: bytes | Path) -> tuple[str, int]:
        """Store the content, durably, and return its checksum and size.

        A damaged file of the same name is replaced: its name says what it must hold.
        """
        if isinstance(data, Path):
            with data.open("rb") as reader, _disk_errors(self.temporary):
                return self._write_file(reader)
        if len(data) < _HASHED_ASIDE:
            return self._write_bytes(data)
        with _disk_errors(self.temporary), ThreadPoolExecutor(1) as aside:
            hashing = aside.submit(hashlib.sha256, data)  # while the disk is busy: neither holds the interpreter
            temporary = self.temporary / f"{os.getpid()}-{secrets.token_hex(8)}"
            with self._temporary_file(temporary) as file:
                file.write(data)
                self._sync_file(file)
                checksum = hashing.result().hexdigest()
                if self._holds(checksum, len(data)):
                    temporary.unlink()
                else:
                    self._put_in_place(temporary, checksum)
        return checksum, len(data)

    def _write_bytes(self, data: bytes) -> tuple[str, int]:
        checksum = hashlib.sha256(data).hexdigest()
        with _disk_errors(self.temporary):
            if self._holds(checksum, len(data)):
                return checksum, len(data)
            temporary = self.temporary / f"{os.getpid()}-{secrets.token_hex(8)}"
            with self._temporary_file(temporary) as file:
                file.write(data)
                self._install(file, temporary, checksum)
        return checksum, len(data)

    def _write_file(self, reader: BinaryIO) -> tuple[str, int]:
        temporary = self.temporary / f"{os.getpid()}-{secrets.token_hex(8)}"
        digest, size = hashlib.sha256(), 0
        with self._temporary_file(temporary) as file:
            while block := reader.read(_BLOCK):
                digest.update(block)
                size += len(block)
                file.write(block)
            checksum = digest.hexdigest()
            if self._holds(checksum, size):
                temporary.unlink()
            else:
                self._install(file, temporary, checksum)
        return checksum, size

    def _install(self, file: BinaryIO, temporary: Path, checksum: str) -> None:
        self._sync_file(file)
        self._put_in_place(temporary, checksum)

    @staticmethod
    def _sync_file(file: BinaryIO) -> None:
        file.flush()
        os.fchmod(file.fileno(), 0o444)
        os.fsync(file.fileno())

    def _put_in_place(self, temporary: Path, checksum: str) -> None:
        target = self.path(checksum)
        temporary.replace(target)
        _sync_directory(target.parent)

    def _holds(self, checksum: str, size: int) -> bool:
        path = self.path(checksum)
        try:
            if path.stat().st_size != size or file_checksum(path) != checksum:
                return False
            os.utime(path)  # in use again: garbage collection goes by the age of the file
        except FileNotFoundError:
            return False
        _sync_directory(path.parent)
        return True

    @staticmethod
    @contextlib.contextmanager
    def _temporary_file(temporary: Path) -> Iterator[BinaryIO]:
        """A new file, removed again where its writing fails."""
        try:
            with temporary.open("xb") as file:
                yield file
        except BaseException:
            with contextlib.suppress(OSError):  # the failure itself is what the caller must see
                temporary.unlink()
            raise

    def checked_path(self, checksum: str, size: int, where: str) -> Path:
        """The object's file, its size checked. Raises Gone, CorruptObject."""
        path = self.path(checksum)
        try:
            with _disk_errors(self.objects):
                found = path.stat().st_size
        except FileNotFoundError as error:
            raise Gone(f"{where}: object {checksum} is not in the store any more; run verify") from error
        if found != size:
            raise CorruptObject(f"{where}: object {checksum} has {found} bytes, must have {size}; run verify")
        return path

    def read(self, checksum: str, size: int, where: str, byte_range: tuple[int, int] | None = None) -> bytes:
        """Content, or a range of it, from a file which matches its name. Raises Gone, CorruptObject."""
        path = self.checked_path(checksum, size, where)
        start, stop = (0, size) if byte_range is None else byte_range
        if not 0 <= start <= stop or start > size or (start == size and stop > start):
            raise PreconditionFailed(f"{where}: byte range {start} to {stop} is outside of the object's {size} bytes")
        try:
            with _disk_errors(self.objects), path.open("rb") as file:
                if byte_range is None:
                    data = file.read()
                    sound = hashlib.sha256(data).hexdigest() == checksum
                else:
                    sound = self._is_sound(file, checksum)
                    file.seek(start)
                    data = file.read(stop - start)
        except FileNotFoundError as error:
            raise Gone(f"{where}: object {checksum} is not in the store any more; run verify") from error
        if not sound:
            raise CorruptObject(f"{where}: object {checksum} is damaged; run verify")
        return data

    def _is_sound(self, file: BufferedReader, checksum: str) -> bool:
        """If the whole file matches its name; each state of a file is hashed once, or ranges would cost too much."""
        status = os.fstat(file.fileno())
        state = (checksum, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        if state in self._verified:
            return True
        if hashlib.file_digest(file, "sha256").hexdigest() != checksum:
            return False
        if len(self._verified) >= _VERIFIED_FILES:
            self._verified.clear()
        self._verified.add(state)
        return True

    def files(self) -> Iterator[Path]:
        """Everything below ``objects/``; see :meth:`is_object`."""
        with _disk_errors(self.objects):
            for directory in sorted(self.objects.iterdir()):
                if directory.is_dir():
                    yield from sorted(directory.iterdir())
                else:
                    yield directory

    def is_object(self, path: Path) -> bool:
        """If this is the place of an object; anything else below ``objects/`` is not the lake's."""
        return _CHECKSUM.fullmatch(path.name) is not None and path == self.path(path.name)

    def age_and_size(self, path: Path) -> tuple[float, int] | None:
        """Seconds since it was written or put again, and bytes; None where it is not there any more."""
        with _disk_errors(self.objects):
            try:
                status = path.stat()
            except FileNotFoundError:
                return None
            return time.time() - status.st_mtime, status.st_size

    def remove(self, path: Path) -> None:
        with _disk_errors(self.objects):
            path.unlink(missing_ok=True)

    def remove_leftovers(self, older_than_seconds: float, *, dry_run: bool) -> int:
        """Remove temporary files which a killed writer left; returns how many."""
        removed = 0
        with _disk_errors(self.temporary):
            for path in self.temporary.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - path.stat().st_mtime >= older_than_seconds:
                        if not dry_run:
                            path.unlink()
                        removed += 1
        return removed


@contextlib.contextmanager
def _disk_errors(where: Path) -> Iterator[None]:
    """What the disk refuses is an unavailable lake; a file that is missing is the caller's to name."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_ERRORS:
            raise LakeUnavailable(f"{where}: the disk refuses: {error}") from error
        raise


def file_checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
