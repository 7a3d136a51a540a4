"""The commits behind a ref, walked back."""

import heapq
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from resources.lake.errors import ObjectNotFound
from resources.lake.lakefs.client import PAGE, Client, Connection
from resources.lake.lakefs.objects import Objects
from resources.lake.lakefs.refs import Refs, check_ref
from resources.lake.protocol import Commit, check_path

_FIRST_PAGE = 100
_THREADS = 8


class Log:
    """Histories of one repository."""

    def __init__(self, client: Client, refs: Refs, objects: Objects) -> None:
        self._client = client
        self._refs = refs
        self._objects = objects

    def walk(self, ref: str, *, limit: int | None, first_parent: bool, path: str | None) -> Iterator[Commit]:
        """See :meth:`resources.lake.Lake.log`; the first page is fetched at once."""
        if path is not None:
            check_path(path)
        wanted = _FIRST_PAGE if limit is None or path is not None else 2 * limit
        commits = self._children_first(ref, first_parent, max(2, min(wanted, PAGE)))
        return islice(commits if path is None else self._changing(commits, path), limit)

    def _children_first(self, ref: str, first_parent: bool, amount: int) -> Iterator[Commit]:
        """The server sorts by the commits' whole seconds, in which a parent may come before its child."""
        pages = self._pages(ref, first_parent, amount)
        at_hand = {commit.id: commit for commit in next(pages)}

        def take(commit_id: str) -> Any:
            while commit_id not in at_hand:
                page = next(pages, None)
                if page is None:
                    return self._refs.described(commit_id)
                at_hand.update((commit.id, commit) for commit in page)
            return at_hand.pop(commit_id)

        def walk() -> Iterator[Commit]:
            queue = [_by_generation(take(next(iter(at_hand))))]
            met = {queue[0][2]}
            while queue:
                commit = heapq.heappop(queue)[3]
                yield self._refs.known(commit)
                for parent in commit.parents[:1] if first_parent else commit.parents:
                    if parent not in met:
                        met.add(parent)
                        heapq.heappush(queue, _by_generation(take(parent)))

        return walk()

    def _pages(self, ref: str, first_parent: bool, amount: int) -> Iterator[list[Any]]:
        check_ref(ref)
        operation = self._client.operation("log", ref)
        start = ref

        def fetch(server: Connection, after: str) -> Any:
            size = PAGE if after else amount
            return server.refs.log_commits(
                self._client.repository, start, after=after, amount=size, first_parent=first_parent
            )

        pages = self._client.pages(operation, "", fetch)
        first = next(pages)
        start = first[0].id  # the ref may move before the next page, its commit does not

        def all_pages() -> Iterator[list[Any]]:
            yield first
            yield from pages

        return all_pages()

    def _changing(self, commits: Iterator[Commit], path: str) -> Iterator[Commit]:
        """The commits in which the object at ``path`` differs from their first parent; one look for every commit."""
        seen: dict[str, object] = {}
        batch = _THREADS
        while chunk := list(islice(commits, batch)):
            wanted = {ref for commit in chunk for ref in (commit.id, *commit.parents[:1])} - seen.keys()
            with ThreadPoolExecutor(_THREADS) as pool:
                seen.update(zip(wanted, pool.map(lambda ref: self._identity(ref, path), wanted), strict=True))
            for commit in chunk:
                if commit.parents and seen[commit.id] != seen[commit.parents[0]]:
                    yield commit
            batch = min(2 * batch, PAGE)

    def _identity(self, commit_id: str, path: str) -> object:
        try:
            info = self._objects.stat(commit_id, path)
        except ObjectNotFound:
            return None
        return info.checksum, info.size, info.metadata


def _by_generation(commit: Any) -> tuple[int, int, str, Any]:
    """A heap of these gives no commit before its children."""
    return -(commit.generation or 0), -commit.creation_date, commit.id, commit
