"""Write, audit, publish: the one way content reaches ``main``.

A partition is written to a branch of its own, read back and judged there, and merged if it passes. What fails
stays under a quarantine tag and ``main`` as it was. A kill at any point leaves the old state or the new.
"""

import contextlib
import hashlib
import json
import random
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import polars as pl

from resources.lake.errors import (
    AlreadyExists,
    Contention,
    Gone,
    LakeError,
    LakeUnavailable,
    MergeConflict,
    NoChanges,
    Overtaken,
)
from resources.lake.layout import DATA_FILE, EncodedFrame, PartitionKey, object_path, partition_path
from resources.lake.protocol import MAIN, Lake
from resources.lake.provenance import newest_change
from resources.lake.reading import Content, Reader, Snapshot, data_version
from trading.errors import DataError, TradingError

Audit = Callable[[Reader], None]
"""Reads what was written; raises a TradingError, such as ContractViolation, where it must not go out."""

File = pl.DataFrame | EncodedFrame | bytes
"""Content of one file: a frame, to be written as Parquet, or what it is already."""

WAP_PREFIX: Final = "wap-"
QUARANTINE_PREFIX: Final = "quarantine-"

_ATTEMPTS = 12
_PAUSE_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 1.0
_RECENT_COMMITS = 50


@dataclass(frozen=True, slots=True)
class Publication:
    """What became of one publish.

    Attributes:
        dataset: the dataset.
        partition: path of the partition, ``session=2020-01-02``; "" for none.
        commit_id: the commit on ``main`` which brought this content: the merge, or the earlier one.
        data_version: SHA-256 over names, checksums and sizes of the files; equal content, equal version.
        published: False where ``main`` had the content already.
        rows: rows of all frames given.
        paths: the partition's object paths, in byte order.
        branch: the branch it was written on; "" where nothing was written.
    """

    dataset: str
    partition: str
    commit_id: str
    data_version: str
    published: bool
    rows: int
    paths: tuple[str, ...]
    branch: str


class AuditFailed(DataError):
    """The content was refused; ``main`` is unchanged.

    Attributes:
        tag: the quarantine tag with what was written.
        commit_id: the commit it points to.
        dataset, partition: where it was to go.
    """

    def __init__(self, message: str, *, tag: str, commit_id: str, dataset: str, partition: str) -> None:
        super().__init__(message)
        self.tag = tag
        self.commit_id = commit_id
        self.dataset = dataset
        self.partition = partition


class _Mixed(MergeConflict):
    """The merge went through, and the partition holds files of two runs."""


@dataclass(frozen=True, slots=True)
class _Work:
    """One publish: what is to be there, by object path."""

    dataset: str
    partition: str
    files: dict[str, bytes]
    audit: Audit | None
    metadata: dict[str, str]
    rows: int
    since: str | None

    @property
    def where(self) -> str:
        return f"{self.dataset}/{self.partition}" if self.partition else self.dataset


class Publisher:
    """Publishes partitions for one run. Cheap to make; safe to use from several threads.

    Args:
        lake: where to.
        run_id: of the run; goes into branch names and commit metadata.
        code_version: of the code that made the content; goes into commit metadata.
        clock: gives the time, timezone-aware.
    """

    def __init__(self, lake: Lake, *, run_id: str, code_version: str, clock: Callable[[], datetime]) -> None:
        self.lake = lake
        self.run_id = run_id
        self.code_version = code_version
        self._clock = clock

    def pin(self) -> str:
        """The commit at the head of ``main``, to read all inputs of one materialisation at."""
        return self.lake.resolve(f"{MAIN}@")

    def snapshot(self, ref: str | None = None) -> Snapshot:
        """Reads at ``ref``, by default at :meth:`pin`."""
        return Snapshot(self.lake, self.pin() if ref is None else ref)

    def exists(self, ref: str, dataset: str, partition: PartitionKey = "", file: str = DATA_FILE) -> bool:
        return Snapshot(self.lake, ref).exists(dataset, partition, file)

    def read_frame(self, ref: str, dataset: str, partition: PartitionKey = "", file: str = DATA_FILE) -> pl.DataFrame:
        """See :meth:`Snapshot.frame`."""
        return Snapshot(self.lake, ref).frame(dataset, partition, file)

    def scan_frames(
        self,
        ref: str,
        dataset: str,
        partitions: Iterable[PartitionKey] | None = None,
        file: str = DATA_FILE,
    ) -> pl.LazyFrame:
        """See :meth:`Snapshot.scan`."""
        return Snapshot(self.lake, ref).scan(dataset, partitions, file)

    def publish(
        self,
        dataset: str,
        partition: PartitionKey,
        files: Mapping[str, File] | pl.DataFrame,
        *,
        audit: Audit | None,
        inputs: Mapping[str, str],
        metadata: Mapping[str, str] | None = None,
        since: str | None = None,
    ) -> Publication:
        """Make ``files`` the whole content of a partition on ``main``.

        Args:
            dataset: the dataset, also the asset key in the metadata.
            partition: ordered keys and values, or their path, "" for none.
            files: content by file name; a lone frame is ``data.parquet``.
            audit: judges what was written, on the branch, before it is committed.
            inputs: commit id each input was read at, by name.
            metadata: goes into the commit, besides run id, asset key, partition, code version, inputs, rows.
            since: the commit that the content was made from. Where the partition on ``main`` has changed after it,
                nothing is published. None: this content is right whatever stands there.

        Raises:
            Overtaken: another run published other content after ``since``; make the content again from the head.
            AuditFailed: the audit raised a TradingError (its cause); the content is under a quarantine tag.
            Contention, MergeConflict: other writers were in the way of every attempt.
            InvalidName: dataset, partition or file name.
        """
        work = self._work(dataset, partition, files, audit, inputs, metadata, since)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._attempt(work)
            except Overtaken:
                raise
            except (Contention, MergeConflict) as met:
                if attempt == _ATTEMPTS:
                    raise
                if isinstance(met, _Mixed):
                    work = replace(work, since=None)  # a part of it is out already: now all of it must be
                # another run got there first: what it published is the new base, whatever ours adds to it
                longest = min(_PAUSE_SECONDS * 2**attempt, _LONGEST_PAUSE_SECONDS)
                time.sleep(longest * random.uniform(0.1, 1.0))
        raise AssertionError("unreachable")

    def _work(
        self,
        dataset: str,
        partition: PartitionKey,
        files: Mapping[str, File] | pl.DataFrame,
        audit: Audit | None,
        inputs: Mapping[str, str],
        metadata: Mapping[str, str] | None,
        since: str | None,
    ) -> _Work:
        if isinstance(files, pl.DataFrame):
            files = {DATA_FILE: files}
        made = {
            name: EncodedFrame.of(data) if isinstance(data, pl.DataFrame) else data
            for name, data in sorted(files.items())
        }
        rows = {name: data.rows for name, data in made.items() if isinstance(data, EncodedFrame)}
        content = {
            object_path(dataset, partition, name): data.data if isinstance(data, EncodedFrame) else bytes(data)
            for name, data in made.items()
        }
        path = partition_path(partition)
        record = {
            **(metadata or {}),
            "run_id": self.run_id,
            "asset_key": dataset,
            "partition": path,
            "code_version": self.code_version,
            "inputs": json.dumps(dict(inputs), sort_keys=True),
            "rows": json.dumps(rows),
        }
        return _Work(dataset, path, content, audit, record, sum(rows.values()), since)

    def _attempt(self, work: _Work) -> Publication:
        base = self.pin()
        before = self._content(work, base)
        if _same(before, work.files):
            self._mend(work, base)
            self._audit(work, base, "")
            return self._unchanged(work, base, before)
        self._check_not_overtaken(work, base, before)
        branch = self._create_branch(work, base)
        try:
            # the merge makes all of it durable at once; nothing before it is worth waiting for the disk
            with self.lake.unsynced():
                for path, data in work.files.items():
                    self.lake.put(branch, path, data)
                if gone := before.keys() - work.files.keys():
                    self.lake.delete(branch, gone)
            self._audit(work, branch, branch)
            with self.lake.unsynced():
                content = self._content(work, branch)
                message = f"{work.where} by run {self.run_id}"
                metadata = {**work.metadata, "data_version": data_version(content), "wap_branch": branch}
                try:
                    self.lake.commit(branch, message, metadata)
                except NoChanges:
                    return self._unchanged(work, base, content)
                commit_id = self._merge(branch, message, metadata)
            self._check_whole(work, content, commit_id)
        finally:
            self._drop(branch)
        return self._publication(work, content, commit_id, branch)

    def _mend(self, work: _Work, base: str) -> None:
        """Write anew the files that ``main`` has and that cannot be read any more.

        A lake that stores content under its hash has it back in every commit. Raises Gone where it is not.
        """
        damaged = [path for path, data in work.files.items() if not self._holds(base, path, data)]
        if not damaged:
            return
        branch = self._create_branch(work, base)
        try:
            for path in damaged:
                self.lake.put(branch, path, work.files[path])
        finally:
            self._drop(branch)
        for path in damaged:
            self.lake.get(base, path)

    def _holds(self, ref: str, path: str, data: bytes) -> bool:
        try:
            return self.lake.get(ref, path) == data
        except Gone:
            return False

    def _drop(self, branch: str) -> None:
        # a leftover is harmless: the janitor removes it
        with contextlib.suppress(LakeError), self.lake.unsynced():
            self.lake.delete_branch(branch)

    def _content(self, work: _Work, ref: str) -> Content:
        return Snapshot(self.lake, ref).identities(work.dataset, work.partition)

    def _create_branch(self, work: _Work, base: str) -> str:
        stamp = self._clock().astimezone(UTC).strftime("%Y%m%dT%H%M%S")
        stem = f"{WAP_PREFIX}{_name(self.run_id)[:40]}-{_name(work.where)[:80]}-{stamp}"
        while True:
            branch = f"{stem}x{secrets.token_hex(4)}"
            with contextlib.suppress(AlreadyExists), self.lake.unsynced():
                self.lake.create_branch(branch, base)
                return branch

    def _merge(self, branch: str, message: str, metadata: dict[str, str]) -> str:
        try:
            return self.lake.merge(branch, MAIN, message, metadata).commit_id
        except LakeUnavailable:
            # the answer was lost, perhaps not the merge: main's own history knows
            for commit in self.lake.log(MAIN, limit=_RECENT_COMMITS, first_parent=True):
                if commit.metadata.get("wap_branch") == branch:
                    return commit.id
            raise

    def _check_whole(self, work: _Work, ours: Content, merged: str) -> None:
        """Raises _Mixed where another run added files of other names, so that the merge mixed the two."""
        found = self._content(work, merged)
        if ours != found:
            paths = sorted(path for path in ours.keys() | found.keys() if ours.get(path) != found.get(path))
            raise _Mixed(f"{work.where}: another run published {', '.join(paths)} meanwhile", paths=paths)

    def _check_not_overtaken(self, work: _Work, base: str, now: Content) -> None:
        """Raises Overtaken where the partition is not any more what it was when this content was made."""
        if work.since is None or work.since == base:
            return
        then = self._content(work, work.since)
        if then == now:
            return
        path = min(path for path in then.keys() | now.keys() if then.get(path) != now.get(path))
        snapshot = Snapshot(self.lake, base)
        commit = newest_change(snapshot, work.dataset, work.partition, [path]) or self.lake.get_commit(base)
        by_run = commit.metadata.get("run_id", "")
        raise Overtaken(
            f"{work.where}: {f'run {by_run}' if by_run else 'another writer'} published it at commit {commit.id[:16]}, after "
            f"this run had read its inputs at {work.since[:16]}. Nothing of this run was published; make it again from the head",
            by_run=by_run,
            commit_id=commit.id,
        )

    def _audit(self, work: _Work, ref: str, branch: str) -> None:
        """Run the audit at ``ref``; quarantine what fails. No ``branch``: it is on ``main`` already."""
        if work.audit is None:
            return
        try:
            work.audit(Reader(Snapshot(self.lake, ref), work.dataset, work.partition))
        except LakeError:
            raise  # it could not be read: that says nothing about the content
        except TradingError as error:
            tag, refused = self._quarantine(work, branch or self._create_branch(work, ref), str(error))
            state = "unchanged" if branch else "unchanged, and holds this very content from before"
            opened = next(iter(work.files), work.where)
            raise AuditFailed(
                f"{work.where}: audit failed: {error}\n"
                f"{MAIN} is {state}. What was refused is at tag {tag}: trading lake show {tag} {opened}",
                tag=tag,
                commit_id=refused,
                dataset=work.dataset,
                partition=work.partition,
            ) from error

    def _quarantine(self, work: _Work, branch: str, reason: str) -> tuple[str, str]:
        """Tag and commit that hold what was refused, and why; the branch is not needed after it."""
        message = f"{work.where} by run {self.run_id}: refused"
        metadata = {**work.metadata, "wap_branch": branch, "refused": reason[:1000]}
        try:
            commit_id = self.lake.commit(branch, message, metadata, allow_empty=True).id
            return self._tag(work, commit_id), commit_id
        finally:
            self._drop(branch)

    def _tag(self, work: _Work, commit_id: str) -> str:
        stem = f"{QUARANTINE_PREFIX}{_name(work.where)[:120]}-{_name(self.run_id)[:60]}"
        number = 1
        while True:
            tag = stem if number == 1 else f"{stem}-{number}"
            with contextlib.suppress(AlreadyExists):
                self.lake.create_tag(tag, commit_id)
                return tag
            number += 1

    def _unchanged(self, work: _Work, base: str, content: Content) -> Publication:
        """``main`` has this content; the newest commit to have changed one of its paths to it brought it."""
        commit = newest_change(Snapshot(self.lake, base), work.dataset, work.partition, work.files)
        if commit is not None:
            with contextlib.suppress(Gone):
                if self._content(work, commit.id) == content:
                    return self._publication(work, content, commit.id, "")
        # brought by the removal of a file, or past its retention: the head has it for certain
        return self._publication(work, content, base, "")

    @staticmethod
    def _publication(work: _Work, content: Content, commit_id: str, branch: str) -> Publication:
        return Publication(
            work.dataset,
            work.partition,
            commit_id,
            data_version(content),
            bool(branch),
            work.rows,
            tuple(work.files),
            branch,
        )


def _same(content: Content, files: Mapping[str, bytes]) -> bool:
    """The partition has these files; hashed only where names and sizes are the same already."""
    if {path: size for path, (_, size) in content.items()} != {path: len(d) for path, d in files.items()}:
        return False
    return all(hashlib.sha256(data).hexdigest() == content[path][0] for path, data in files.items())


def _name(text: str) -> str:
    """``text`` as a part of a branch or tag name."""
    return re.sub(r"[^0-9A-Za-z_]+", "-", text).strip("-") or "x"
