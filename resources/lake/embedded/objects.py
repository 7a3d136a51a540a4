"""Immutable files named by the SHA-256 of their content, each stored once."""

import contextlib
import errno
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from resources.lake.errors import CorruptObject, Gone, LakeUnavailable, PreconditionFailed

_BLOCK = 1 << 20
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES})


class ObjectFiles:
    """``objects/ab/abcd...`` below a directory, written to ``tmp/`` and renamed into place."""

    def __init__(self, directory: Path) -> None:
        self.objects = directory / "objects"
        self.temporary = directory / "tmp"

    def create(self) -> None:
        """Make the directories where they are not there yet."""
        if (self.objects / "ff").is_dir():  # the last one made
            return
        try:
            self.temporary.mkdir(parents=True, exist_ok=True)
            for first in range(256):
                (self.objects / f"{first:02x}").mkdir(parents=True, exist_ok=True)
            _sync_directory(self.objects)
        except OSError as error:
            raise LakeUnavailable(f"{self.objects}: a lake cannot be made here: {error}") from error

    def path(self, checksum: str) -> Path:
        return self.objects / checksum[:2] / checksum

    def exists(self, checksum: str) -> bool:
        return self.path(checksum).exists()

    def write(self, data: bytes | Path) -> tuple[str, int]:
        """Store the content, durably, and return its checksum and size.

        A damaged file of the same name is replaced: its name says what it must hold.
        """
        if isinstance(data, Path):
            return self._write_file(data)
        checksum = hashlib.sha256(data).hexdigest()
        if self._holds(checksum, len(data)):
            return checksum, len(data)
        temporary = self.temporary / f"{os.getpid()}-{secrets.token_hex(8)}"
        with self._temporary_file(temporary) as file:
            file.write(data)
            self._install(file, temporary, checksum)
        return checksum, len(data)

    def _write_file(self, source: Path) -> tuple[str, int]:
        temporary = self.temporary / f"{os.getpid()}-{secrets.token_hex(8)}"
        digest, size = hashlib.sha256(), 0
        with source.open("rb") as reader, self._temporary_file(temporary) as file:
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
        target = self.path(checksum)
        file.flush()
        os.fchmod(file.fileno(), 0o444)
        os.fsync(file.fileno())
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
        """A new file, removed again where its writing fails. Raises LakeUnavailable where the disk refuses."""
        try:
            with temporary.open("xb") as file:
                yield file
        except BaseException as error:
            temporary.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
                raise LakeUnavailable(f"{temporary.parent}: cannot be written: {error}") from error
            raise

    def checked_path(self, checksum: str, size: int, where: str) -> Path:
        """The object's file, its size checked. Raises Gone, CorruptObject."""
        path = self.path(checksum)
        try:
            found = path.stat().st_size
        except FileNotFoundError as error:
            raise Gone(f"{where}: object {checksum} is not in the store any more; run verify") from error
        if found != size:
            raise CorruptObject(f"{where}: object {checksum} has {found} bytes, must have {size}; run verify")
        return path

    def read(self, checksum: str, size: int, where: str, byte_range: tuple[int, int] | None = None) -> bytes:
        """Content; the whole of it is checked against its name, a range against the size of the file."""
        path = self.checked_path(checksum, size, where)
        if byte_range is None:
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != checksum:
                raise CorruptObject(f"{where}: object {checksum} is damaged; run verify")
            return data
        start, stop = byte_range
        if not 0 <= start <= stop or start > size or (start == size and stop > start):
            raise PreconditionFailed(f"{where}: byte range {start} to {stop} is outside of the object's {size} bytes")
        with path.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)

    def files(self) -> Iterator[Path]:
        """Every object file."""
        for directory in sorted(self.objects.iterdir()):
            yield from directory.iterdir()

    def remove_leftovers(self, older_than_seconds: float) -> int:
        """Remove temporary files which a killed writer left; returns how many."""
        removed = 0
        for path in self.temporary.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime >= older_than_seconds:
                    path.unlink()
                    removed += 1
        return removed


def file_checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
