"""Checksums of content: what a download must be, and the blocks of an upload."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from resources.lake.errors import PreconditionFailed

BLOCK = 1 << 20

_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What the content of an object must be.

    Attributes:
        algorithm: of ``value``; "" for a checksum of the server's own making, which cannot be computed here.
        value: checksum in hex, or as the server gives it.
        size: bytes.
    """

    algorithm: Literal["sha256", "md5", ""]
    value: str
    size: int

    @classmethod
    def of(cls, sha256: str | None, servers: str, size: int) -> Self:
        """By the checksum that a lake stored, else by the server's own."""
        if sha256 is not None:
            return cls("sha256", sha256, size)
        return cls("md5" if is_md5(servers) else "", servers, size)

    @property
    def name(self) -> str:
        """A file name for the content, the same for equal content only."""
        if self.algorithm:
            return f"{self.algorithm}-{self.value}"
        return f"other-{hashlib.sha256(f'{self.value} {self.size}'.encode()).hexdigest()}"

    def matches(self, data: bytes) -> bool:
        if len(data) != self.size:
            return False
        return not self.algorithm or hashlib.new(self.algorithm, data, usedforsecurity=False).hexdigest() == self.value

    def matches_file(self, path: Path) -> bool:
        """Raises OSError where the file cannot be read."""
        if path.stat().st_size != self.size:
            return False
        if not self.algorithm:
            return True
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.new(self.algorithm, usedforsecurity=False))
        return digest.hexdigest() == self.value


@dataclass(frozen=True, slots=True)
class Upload:
    """Content to be sent, hashed before. A file is read in blocks, twice, and must not change between."""

    data: bytes | Path
    size: int
    sha256: str
    md5: str

    @classmethod
    def of(cls, data: bytes | Path) -> Self:
        """Raises OSError where the file cannot be read."""
        sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        for block in _blocks(data):
            sha256.update(block)
            md5.update(block)
            size += len(block)
        return cls(data, size, sha256.hexdigest(), md5.hexdigest())

    def body(self) -> bytes | Iterator[bytes]:
        """What to send. The blocks of a file end early, by an error, where it is not the file that was hashed."""
        return self.data if isinstance(self.data, bytes) else self._checked_blocks(self.data)

    def _checked_blocks(self, path: Path) -> Iterator[bytes]:
        changed = PreconditionFailed(f"{path} was changed while it was being put; put it again when it is complete")
        digest, size = hashlib.sha256(), 0
        try:
            for block in _blocks(path):
                digest.update(block)
                size += len(block)
                # looked at before the last block is sent, so that the server never gets the whole of a changed file
                if size > self.size or (size == self.size and digest.hexdigest() != self.sha256):
                    raise changed
                yield block
        except OSError:
            raise changed from None
        if size != self.size:
            raise changed


def is_md5(checksum: str) -> bool:
    return bool(_MD5.fullmatch(checksum))


def _blocks(data: bytes | Path) -> Iterator[bytes]:
    if isinstance(data, bytes):
        yield data
        return
    with data.open("rb") as file:
        while block := file.read(BLOCK):
            yield block
