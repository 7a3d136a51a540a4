"""Objects: staging them on a branch, reading them at a ref, and their local copies."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote

from resources.lake.errors import CorruptObject, ObjectNotFound, PreconditionFailed
from resources.lake.lakefs.cache import LocalCopies
from resources.lake.lakefs.client import PAGE, Client, Connection
from resources.lake.lakefs.content import BLOCK, Fingerprint, Upload, is_md5
from resources.lake.lakefs.failures import of_status
from resources.lake.lakefs.metadata import from_server, to_headers
from resources.lake.lakefs.recent import Recent
from resources.lake.lakefs.refs import Refs, check_branch, check_ref, check_writable, is_commit_id
from resources.lake.protocol import MAX_PATH_BYTES, Change, ObjectInfo, Prefix, check_metadata, check_path

_KNOWN_OBJECTS = 65_536
_KNOWN_PAGES = 64
_THREADS = 8
_READ_ATTEMPTS = 3


class Entry(NamedTuple):
    """An object as the lake shows it, and what its content must be."""

    info: ObjectInfo
    content: Fingerprint


class _Page(NamedTuple):
    items: tuple[Entry | Prefix, ...]
    following: str | None


class Objects:
    """Objects of one repository. What is known of a commit's objects is asked for once."""

    def __init__(self, client: Client, refs: Refs, copies: LocalCopies) -> None:
        self._client = client
        self._refs = refs
        self._copies = copies
        self._entries: Recent[tuple[str, str], Entry] = Recent(_KNOWN_OBJECTS)
        self._pages: Recent[tuple[str, str, str, str], _Page] = Recent(_KNOWN_PAGES)

    def put(
        self, branch: str, path: str, data: bytes | Path, *, metadata: Mapping[str, str] | None, if_absent: bool
    ) -> ObjectInfo:
        check_path(path)
        pairs = check_metadata(metadata)
        check_writable(branch)
        upload = Upload.of(data)
        headers = {
            **to_headers(pairs, path, upload.sha256),
            "Content-Type": "application/octet-stream",  # a part of the object's identity: always the same
            "Content-Length": str(upload.size),
            **({"If-None-Match": "*"} if if_absent else {}),
        }
        operation = self._client.operation("put", f"{branch}/{path}")

        def send(server: Connection) -> Any:
            target, query = f"branches/{branch}/objects", {"path": path}
            with self._client.raw(operation, "POST", target, query, headers=headers, body=upload.body()) as answer:
                return server.sdk.ObjectStats.from_json(answer.data.decode())

        if upload.size > BLOCK:
            self._check_before_sending(branch, path, if_absent=if_absent)
        # sent twice, it cannot be told who won: the first request or another writer
        stored = self._client.call(operation, send, repeatable=not if_absent)
        if stored.size_bytes != upload.size or (is_md5(stored.checksum) and stored.checksum != upload.md5):
            raise CorruptObject(f"{operation}: the server received other bytes than were sent; put it again")
        return ObjectInfo(path, upload.size, upload.sha256, pairs, _moment(stored.mtime))

    def _check_before_sending(self, branch: str, path: str, *, if_absent: bool) -> None:
        """A refusal in the middle of a long upload may be lost with the connection, so ask first."""
        self._refs.check_exists(branch)
        if if_absent:
            try:
                self.stat(branch, path)
            except ObjectNotFound:
                return
            raise PreconditionFailed(f"{branch}/{path}: exists, and if_absent was asked for")

    def delete(self, branch: str, paths: str | Iterable[str]) -> None:
        wanted = sorted({check_path(path) for path in ([paths] if isinstance(paths, str) else paths)})
        check_writable(branch)
        self._refs.check_exists(branch)  # the server would be silent about it
        operation = self._client.operation("delete", f"{len(wanted)} objects of {branch}")

        def send(part: Sequence[str], server: Connection) -> None:
            answer = server.objects.delete_objects(self._client.repository, branch, server.sdk.PathList(paths=part))
            for error in answer.errors:
                said = json.dumps({"message": f"{error.path}: {error.message}"})
                # here the server says "unauthorized" of a known account that may not do it
                raise of_status(operation, 403 if error.status_code == 401 else error.status_code, said)

        for start in range(0, len(wanted), PAGE):
            self._client.call(operation, partial(send, wanted[start : start + PAGE]))

    def uncommitted(self, branch: str, prefix: str) -> Iterator[Change]:
        check_branch(branch)

        def fetch(server: Connection, after: str) -> Any:
            return server.branches.diff_branch(self._client.repository, branch, prefix=prefix, after=after, amount=PAGE)

        pages = self._client.pages(self._client.operation("uncommitted", branch), "", fetch)
        return (Change(change.path, change.type) for page in pages for change in page)

    def discard(self, branch: str, path: str | None, prefix: str | None) -> None:
        check_branch(branch)

        def send(server: Connection) -> None:
            if path is not None:
                creation = server.sdk.ResetCreation(type="object", path=path)
            elif prefix:
                creation = server.sdk.ResetCreation(type="common_prefix", path=prefix)
            else:
                creation = server.sdk.ResetCreation(type="reset")
            server.branches.reset_branch(self._client.repository, branch, creation)

        self._client.call(self._client.operation("discard", branch), send)

    def stat(self, ref: str, path: str) -> ObjectInfo:
        return self._entry(ref, path).info

    def _entry(self, ref: str, path: str) -> Entry:
        check_path(path)
        check_ref(ref)
        known = self._entries.get((ref, path)) if is_commit_id(ref) else None
        if known is not None:
            return known
        operation = self._client.operation("stat", f"{ref}/{path}")
        try:
            entry = _entry(
                self._client.call(
                    operation, lambda server: server.objects.stat_object(self._client.repository, ref, path)
                )
            )
        except ObjectNotFound:
            raise self._absent(ref, path) from None
        if is_commit_id(ref):
            self._entries.put((ref, path), entry)
        return entry

    def _absent(self, ref: str, path: str) -> ObjectNotFound:
        """The error for a path that is not there. Raises RefNotFound if it is the ref: the server does not say."""
        commit = self._refs.commit(ref)
        return ObjectNotFound(f"no object {path!r} at {ref!r} (commit {commit.id})")

    def get(self, ref: str, path: str, *, byte_range: tuple[int, int] | None) -> bytes:
        check_path(path)
        check_ref(ref)
        if byte_range is None:
            return self._whole(ref, path)
        start, stop = byte_range
        if not 0 <= start < stop:
            size = self.stat(ref, path).size
            if start != stop or not 0 <= start <= size:
                raise PreconditionFailed(
                    f"{ref}/{path}: byte range {start} to {stop} is outside of the object's {size} bytes"
                )
            return b""
        answer = self._fetch(ref, path, f"bytes={start}-{stop - 1}")
        data = bytes(answer.data)
        return data if answer.status_code == 206 else data[start:stop]

    def _whole(self, ref: str, path: str) -> bytes:
        for _ in range(_READ_ATTEMPTS):
            answer = self._fetch(ref, path, None)
            data = bytes(answer.data)
            tag = (answer.headers or {}).get("ETag", "").strip('"')
            if Fingerprint("md5", tag, len(data)).matches(data):
                return data
            if self._entry(ref, path).content.matches(data):
                return data
        raise CorruptObject(f"lakeFS {self._client.address}: {ref}/{path}: the content is not what was put there")

    def _fetch(self, ref: str, path: str, wanted: str | None) -> Any:
        operation = self._client.operation("get", f"{ref}/{path}")
        try:
            return self._client.call(
                operation,
                lambda server: server.objects.get_object_with_http_info(
                    self._client.repository, ref, path, range=wanted
                ),
            )
        except ObjectNotFound:
            raise self._absent(ref, path) from None

    def list(self, ref: str, prefix: str, *, after: str, delimiter: str | None) -> Iterator[ObjectInfo | Prefix]:
        items = self._listing(ref, prefix, after, delimiter or "")
        return (item if isinstance(item, Prefix) else item.info for item in items)

    def _listing(self, ref: str, prefix: str, after: str, delimiter: str) -> Iterator[Entry | Prefix]:
        """Page by page; the first is fetched at once, so that errors come at the call."""
        check_ref(ref)
        if len(prefix.encode()) > MAX_PATH_BYTES:  # no object can have it, and the server would refuse to look
            self._refs.commit(ref)
            return iter(())
        first = self._page(ref, prefix, after, delimiter)

        def following() -> Iterator[Entry | Prefix]:
            page = first
            while True:
                yield from page.items
                if page.following is None:
                    return
                page = self._page(ref, prefix, page.following, delimiter)

        return following()

    def _page(self, ref: str, prefix: str, after: str, delimiter: str) -> _Page:
        key = (ref, prefix, after, delimiter)
        known = self._pages.get(key) if is_commit_id(ref) else None
        if known is not None:
            return known
        answer = self._client.call(
            self._client.operation("list", f"{ref}/{prefix}"),
            lambda server: server.objects.list_objects(
                self._client.repository, ref, prefix=prefix, after=after, delimiter=delimiter, amount=PAGE
            ),
        )
        items = tuple(Prefix(s.path) if s.path_type == "common_prefix" else _entry(s) for s in answer.results)
        page = _Page(items, answer.pagination.next_offset if answer.pagination.has_more else None)
        if is_commit_id(ref):
            self._pages.put(key, page)
            for item in items:
                if isinstance(item, Entry):
                    self._entries.put((ref, item.info.path), item)
        return page

    def local_path(self, ref: str, path: str) -> Path:
        return self._local(ref, self._entry(ref, path))

    def _local(self, ref: str, entry: Entry) -> Path:
        path = entry.info.path
        for _ in range(_READ_ATTEMPTS):
            try:
                return self._copied(ref, entry)
            except CorruptObject:
                # on a branch another writer may have put something else between the look and the read
                before, entry = entry, self._entry(ref, path)
                if entry.content == before.content:
                    raise
        raise CorruptObject(f"lakeFS {self._client.address}: {ref}/{path}: changed at every attempt to read it")

    def _copied(self, ref: str, entry: Entry) -> Path:
        path = entry.info.path
        operation = self._client.operation("get", f"{ref}/{path}")

        def fetch(file: BinaryIO) -> None:
            def send(_: Connection) -> None:
                file.seek(0)
                file.truncate()
                target = f"refs/{quote(ref, safe='')}/objects"
                with self._client.raw(operation, "GET", target, {"path": path}) as answer:
                    for block in answer.stream(BLOCK):
                        file.write(block)

            self._client.call(operation, send)

        return self._copies.get(entry.content, fetch, str(operation))

    def local_paths(self, ref: str, prefix: str) -> dict[str, Path]:
        entries = [item for item in self._listing(ref, prefix, "", "") if isinstance(item, Entry)]
        # equal content is fetched once, also where it lies at several paths
        distinct = {entry.content: entry for entry in entries}
        with ThreadPoolExecutor(_THREADS) as pool:
            found = pool.map(lambda entry: self._local(ref, entry), distinct.values())
            local = dict(zip(distinct, found, strict=True))
        return {entry.info.path: local[entry.content] for entry in entries}


def _entry(stats: Any) -> Entry:
    """The server's record of an object."""
    pairs, sha256 = from_server(stats.metadata)
    info = ObjectInfo(stats.path, stats.size_bytes, sha256 or stats.checksum, pairs, _moment(stats.mtime))
    return Entry(info, Fingerprint.of(sha256, stats.checksum, stats.size_bytes))


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
