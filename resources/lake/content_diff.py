"""What differs between two refs, file by file: Parquet by rows, text by lines, anything else by size and checksum."""

import difflib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from resources.lake.layout import DATA_FILE
from resources.lake.protocol import Change, Lake, ObjectInfo
from resources.lake.row_diff import RowDiff, diff_rows

KeysOf = Callable[[str], Sequence[str]]
"""The columns that name a row of the Parquet file at an object path; none where rows have no name."""

_LONGEST_TEXT: Final = 1 << 20  # bytes; comparing lines takes time by the square of their number


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One file that differs between two commits. One of ``rows`` and ``lines`` is set, or none.

    Attributes:
        path: its path.
        type: ``added``, ``removed`` or ``changed``.
        before, after: size, checksum and metadata on the two sides; None where it is not there.
        rows: for Parquet.
        lines: for text: a unified diff without its head, each line beginning with ``+``, ``-``, ``@`` or a space.
        note: why neither could be made, e.g. a file that is no Parquet though named so; "" else.
    """

    path: str
    type: Literal["added", "removed", "changed"]
    before: ObjectInfo | None
    after: ObjectInfo | None
    rows: RowDiff | None = None
    lines: tuple[str, ...] | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if (self.before is None, self.after is None) != (self.type == "added", self.type == "removed"):
            raise ValueError(f"{self.path}: {self.type} does not fit the sides that are there")
        if self.rows is not None and self.lines is not None:
            raise ValueError(f"{self.path}: compared by rows or by lines, not by both")

    @property
    def partition(self) -> str:
        """The dataset and partition that the file belongs to, ``m5_bars/session=2020-01-02``."""
        return self.path.rpartition("/")[0]

    @property
    def title(self) -> str:
        """The partition for its data file, else the path."""
        return self.path.removesuffix(f"/{DATA_FILE}")


def diff_files(
    lake: Lake,
    before: str,
    after: str,
    *,
    keys_of: KeysOf,
    prefix: str = "",
    wanted: Callable[[str], bool] = lambda _: True,
) -> Iterator[FileDiff]:
    """How the files at ``after`` differ from those at ``before``, in byte order of their paths, one at a time.

    Args:
        lake: the lake.
        before, after: commit ids or tags. A branch is taken with what is staged on the right side only, so resolve it.
        keys_of: the key columns by object path.
        prefix: only paths below it.
        wanted: only paths for which this holds.

    Raises:
        RefNotFound: one of the refs.
        Gone, CorruptObject: content that retention removed, or that is damaged.
    """
    for change in lake.diff(before, after, mode="two_dot", prefix=prefix):
        if wanted(change.path):
            yield _file(lake, before, after, change, keys_of)


def _file(lake: Lake, before: str, after: str, change: Change, keys_of: KeysOf) -> FileDiff:
    path = change.path
    kind: Literal["added", "removed", "changed"] = "changed"
    if change.type in ("added", "removed"):
        kind = "added" if change.type == "added" else "removed"
    old, new = (
        None if kind == absent else lake.stat(ref, path) for ref, absent in ((before, "added"), (after, "removed"))
    )
    if old is not None and new is not None and (old.checksum, old.size) == (new.checksum, new.size):
        return FileDiff(path, kind, old, new, note="only its metadata changed")
    contents = [None if info is None else lake.get(ref, path) for ref, info in ((before, old), (after, new))]
    if path.endswith(".parquet"):
        try:
            frames = [pl.DataFrame() if data is None else pl.read_parquet(io.BytesIO(data)) for data in contents]
        except pl.exceptions.PolarsError as error:
            return FileDiff(path, kind, old, new, note=f"cannot be read as Parquet: {str(error).splitlines()[0]}")
        return FileDiff(path, kind, old, new, rows=diff_rows(frames[0], frames[1], keys_of(path)))
    texts = [_text(path, data) for data in contents]
    if texts[0] is None or texts[1] is None:
        return FileDiff(path, kind, old, new)
    return FileDiff(path, kind, old, new, lines=tuple(difflib.unified_diff(texts[0], texts[1], lineterm="", n=1))[2:])


def _text(path: str, data: bytes | None) -> list[str] | None:
    """The lines of a text file, JSON with each value on a line of its own; None for anything else."""
    if data is None:
        return []
    if len(data) > _LONGEST_TEXT or b"\0" in data:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if path.endswith(".json"):
        try:
            return json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False).splitlines()
        except ValueError:
            return text.splitlines()
    return text.splitlines()
