"""The lake on a server: the protocol's calls, handed to what knows how."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Self

from resources.lake.errors import Forbidden
from resources.lake.lakefs.address import Account, Address
from resources.lake.lakefs.cache import LocalCopies
from resources.lake.lakefs.client import Client
from resources.lake.lakefs.history import History
from resources.lake.lakefs.log import Log
from resources.lake.lakefs.objects import Objects
from resources.lake.lakefs.refs import Refs
from resources.lake.protocol import (
    MAIN,
    Change,
    Commit,
    DiffMode,
    MergeResult,
    MergeStrategy,
    ObjectInfo,
    Prefix,
)


class LakeFSLake:
    """A :class:`resources.lake.Lake` in a repository of a lakeFS server.

    Every call raises LakeUnavailable where the server does not answer, AuthError and Forbidden where it refuses the
    account. The time of commits and objects is the server's, in whole seconds. Threads may share one.
    """

    def __init__(self, address: Address, account: Account | None) -> None:
        self._address = address
        self._client = Client(address, account)
        self._refs = Refs(self._client)
        self._objects = Objects(self._client, self._refs, LocalCopies(address.cache, address.cache_bytes))
        self._history = History(self._client, self._refs, self._objects)
        self._log = Log(self._client, self._refs, self._objects)

    @property
    def uri(self) -> str:
        return self._address.uri

    @property
    def indexes_paths(self) -> bool:
        return False

    def resolve(self, ref: str) -> str:
        return self._refs.commit(ref).id

    def create_branch(self, name: str, source: str) -> str:
        return self._refs.create("branch", name, source)

    def delete_branch(self, name: str) -> None:
        if name == MAIN:
            raise Forbidden(f"branch {name}: the default branch cannot be deleted")
        self._refs.delete("branch", name)

    def list_branches(self, prefix: str = "") -> dict[str, str]:
        return self._refs.heads("branch", prefix)

    def create_tag(self, name: str, ref: str) -> str:
        return self._refs.create("tag", name, ref)

    def delete_tag(self, name: str) -> None:
        self._refs.delete("tag", name)

    def list_tags(self, prefix: str = "") -> dict[str, str]:
        return self._refs.heads("tag", prefix)

    def put(
        self,
        branch: str,
        path: str,
        data: bytes | Path,
        *,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
    ) -> ObjectInfo:
        return self._objects.put(branch, path, data, metadata=metadata, if_absent=if_absent)

    def delete(self, branch: str, paths: str | Iterable[str]) -> None:
        self._objects.delete(branch, paths)

    def get(self, ref: str, path: str, *, byte_range: tuple[int, int] | None = None) -> bytes:
        return self._objects.get(ref, path, byte_range=byte_range)

    def stat(self, ref: str, path: str) -> ObjectInfo:
        return self._objects.stat(ref, path)

    def local_path(self, ref: str, path: str) -> Path:
        """A verified copy, fetched where there is none yet; the path stays good until this process ends."""
        return self._objects.local_path(ref, path)

    def local_paths(self, ref: str, prefix: str = "") -> dict[str, Path]:
        return self._objects.local_paths(ref, prefix)

    def list(
        self, ref: str, prefix: str = "", *, after: str = "", delimiter: str | None = None
    ) -> Iterator[ObjectInfo | Prefix]:
        return self._objects.list(ref, prefix, after=after, delimiter=delimiter)

    def uncommitted(self, branch: str, prefix: str = "") -> Iterator[Change]:
        return self._objects.uncommitted(branch, prefix)

    def commit(
        self,
        branch: str,
        message: str,
        metadata: Mapping[str, str] | None = None,
        *,
        allow_empty: bool = False,
    ) -> Commit:
        return self._history.commit(branch, message, metadata, allow_empty=allow_empty)

    def merge(
        self,
        source: str,
        dest: str,
        message: str,
        metadata: Mapping[str, str] | None = None,
        *,
        strategy: MergeStrategy | None = None,
    ) -> MergeResult:
        return self._history.merge(source, dest, message, metadata, strategy=strategy)

    def diff(self, left: str, right: str, *, mode: DiffMode = "three_dot", prefix: str = "") -> Iterator[Change]:
        return self._history.diff(left, right, mode=mode, prefix=prefix)

    def log(
        self, ref: str, *, limit: int | None = None, first_parent: bool = False, path: str | None = None
    ) -> Iterator[Commit]:
        return self._log.walk(ref, limit=limit, first_parent=first_parent, path=path)

    def get_commit(self, ref: str) -> Commit:
        return self._refs.commit(ref)

    def merge_base(self, a: str, b: str) -> str:
        return self._history.merge_base(a, b)

    def discard(self, branch: str, path: str | None = None, prefix: str | None = None) -> None:
        self._objects.discard(branch, path, prefix)

    def rollback(self, branch: str, to: str) -> str:
        return self._history.rollback(branch, to)

    def revert(self, branch: str, commit: str, *, parent: int = 0) -> Commit:
        return self._history.revert(branch, commit, parent=parent)

    def unsynced(self) -> AbstractContextManager[None]:
        """Does nothing: what waits for which disk is the server's affair."""
        return nullcontext()

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
