"""A repository of the lakeFS test server: an embedded store, and what lakeFS knows beyond it."""

import hashlib
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from resources.lake import MAIN, Commit, Lake, ObjectInfo, RefNotFound, open_lake

CONTENT_TYPE: Final = "application/octet-stream"
_MD5, _TYPE = "\0md5", "\0type"  # kept among an object's metadata, under keys that no HTTP header can carry

_BRANCH = re.compile(r"\w[-\w]*", re.ASCII)
_SPACE = re.compile(r"\s")


class Refused(Exception):
    """An answer other than success, with lakeFS's own status and text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class NotServed(Exception):
    """lakeFS could do this, the test server cannot: a client which needs it must be tested on a real server."""


@dataclass
class Repository:
    """A store and the settings of its repository.

    Attributes:
        lock: makes one step of what changes a branch's head, where the store needs several calls for it.
        uploaded: by branch the paths uploaded since its staging was emptied, also those that made no difference.
    """

    name: str
    directory: Path
    lake: Lake
    settings: dict[str, Any]
    lock: threading.RLock = field(default_factory=threading.RLock)
    uploaded: dict[str, set[str]] = field(default_factory=dict)
    _generations: dict[str, int] = field(default_factory=dict)

    def save(self) -> None:
        settings_file(self.directory).write_text(json.dumps(self.settings))

    def description(self) -> dict[str, Any]:
        return {
            "creation_date": self.settings["creation_date"],
            "default_branch": MAIN,
            "id": self.name,
            "read_only": False,
            "storage_id": "",
            "storage_namespace": self.settings["storage_namespace"],
        }

    def is_protected(self, branch: str) -> bool:
        return any(fnmatchcase(branch, pattern) for pattern in self.settings["protected"])

    # refs

    def branch(self, name: str, argument: str = "branch") -> str:
        """The branch's head. Refuses names that are none and branches that are not there."""
        check_branch_name(name, argument)
        heads = self.lake.list_branches(name)
        if name not in heads:
            raise Refused(404, "branch not found")
        return heads[name]

    def commit_id(self, ref: str, argument: str = "ref") -> str:
        if not ref or _SPACE.search(ref):
            raise Refused(400, f"argument {argument}: ref: invalid value: validation error")
        if "$" in ref:
            raise Refused(400, "ref: invalid value: validation error: should point to a commit")
        try:
            return self.lake.resolve(ref)
        except RefNotFound:
            base = ref.removesuffix("@")
            if base != ref and self._is_ref(base):
                raise Refused(400, "ref: invalid value: validation error") from None
            raise Refused(404, "not found") from None

    def _is_ref(self, ref: str) -> bool:
        try:
            self.lake.resolve(ref)
        except RefNotFound:
            return False
        return True

    # records as lakeFS gives them

    def commit_record(self, commit: Commit) -> dict[str, Any]:
        return {
            "committer": "admin" if commit.parents else "",
            "creation_date": int(commit.created.timestamp()),
            "generation": self.generation(commit),
            "id": commit.id,
            "message": commit.message,
            "meta_range_id": "",
            "metadata": dict(commit.metadata),
            "parents": list(commit.parents),
            "version": 1,
        }

    def generation(self, commit: Commit) -> int:
        """1 for the first commit, else one more than the highest of the parents."""
        waiting = [commit]
        while waiting:
            parents = [self.lake.get_commit(parent) for parent in waiting[-1].parents]
            unknown = [parent for parent in parents if parent.id not in self._generations]
            if unknown:
                waiting += unknown
                continue
            done = waiting.pop()
            self._generations[done.id] = 1 + max((self._generations[parent] for parent in done.parents), default=0)
        return self._generations[commit.id]

    def object_record(self, info: ObjectInfo, *, metadata: bool = True) -> dict[str, Any]:
        pairs = user_metadata(info)
        record = {
            "checksum": md5(info),
            "content_type": info.metadata[_TYPE],
            "mtime": int(info.modified.timestamp()),
            "path": info.path,
            "path_type": "object",
            "physical_address": f"{self.settings['storage_namespace']}/data/{info.checksum}",
            "size_bytes": info.size,
        }
        return {**record, "metadata": pairs} if metadata else record

    def put(
        self, branch: str, path: str, data: bytes | Path, content_type: str, metadata: Mapping[str, str], *, new: bool
    ) -> ObjectInfo:
        pairs = {**metadata, _MD5: _md5_of(data), _TYPE: content_type}
        self.uploaded.setdefault(branch, set()).add(path)
        return self.lake.put(branch, path, data, metadata=pairs, if_absent=new)

    def put_again(self, branch: str, ref: str, path: str, metadata: Mapping[str, str] | None = None) -> None:
        """Stage what ``path`` is at ``ref``, with other user metadata where given."""
        info = self.lake.stat(ref, path)
        pairs = user_metadata(info) if metadata is None else metadata
        self.put(branch, path, self.lake.local_path(ref, path), info.metadata[_TYPE], pairs, new=False)


def check_branch_name(name: str, argument: str = "branch") -> None:
    if not _BRANCH.fullmatch(name):
        raise Refused(400, f"argument {argument}: branch id: invalid value: validation error")


def md5(info: ObjectInfo) -> str:
    return info.metadata[_MD5]


def user_metadata(info: ObjectInfo) -> dict[str, str]:
    return {key: value for key, value in info.metadata.items() if key not in (_MD5, _TYPE)}


def _md5_of(data: bytes | Path) -> str:
    if isinstance(data, bytes):
        return hashlib.md5(data).hexdigest()
    with data.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def settings_file(directory: Path) -> Path:
    return directory / "repository.json"


class Repositories:
    """One directory per repository; those of an earlier server on the same directory are there again."""

    def __init__(self, directory: Path, clock: Callable[[], datetime]) -> None:
        self._directory = directory
        self._clock = clock
        self._open: dict[str, Repository] = {}
        self._lock = threading.Lock()
        directory.mkdir(parents=True, exist_ok=True)
        for file in sorted(directory.glob("*/repository.json")):
            self._open[file.parent.name] = self._repository(file.parent, json.loads(file.read_text()))

    def __iter__(self) -> Iterator[Repository]:
        return iter([self._open[name] for name in sorted(self._open)])

    def get(self, name: str) -> Repository | None:
        return self._open.get(name)

    def create(self, name: str, storage_namespace: str) -> Repository:
        with self._lock:
            if name in self._open:
                raise Refused(409, "error creating repository: not unique")
            if any(other.settings["storage_namespace"] == storage_namespace for other in self._open.values()):
                raise Refused(
                    400,
                    f"failed to create repository: found lakeFS objects in the storage (:{storage_namespace}) "
                    "key(_lakefs/dummy): storage namespace already in use",
                )
            settings = {
                "creation_date": int(self._clock().timestamp()),
                "storage_namespace": storage_namespace,
                "protected": [MAIN],
            }
            repository = self._repository(self._directory / name, settings)
            repository.save()
            self._open[name] = repository
            return repository

    def delete(self, name: str) -> None:
        with self._lock:
            repository = self._open.pop(name)
            repository.lake.close()
            shutil.rmtree(repository.directory, ignore_errors=True)  # a thread may be closing its database just now

    def close(self) -> None:
        for repository in self:
            repository.lake.close()

    def _repository(self, directory: Path, settings: dict[str, Any]) -> Repository:
        lake = open_lake((directory / "store").as_uri(), clock=self._clock)
        return Repository(directory.name, directory, lake, settings)
