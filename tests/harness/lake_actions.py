"""Steps that tests of a lake take again and again."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from resources.lake import Change, Commit, Lake, ObjectInfo, Prefix

Land = Callable[[dict[str, bytes]], str]

_THREADS = 8


def changes(found: Iterable[Change]) -> list[tuple[str, str]]:
    return [(change.path, change.type) for change in found]


def paths(found: Iterable[ObjectInfo | Prefix | Change]) -> list[str]:
    return [item.path for item in found]


def contents(lake: Lake, ref: str) -> dict[str, bytes]:
    return {path: lake.get(ref, path) for path in paths(lake.list(ref))}


def commit_on(
    lake: Lake,
    branch: str,
    objects: Mapping[str, bytes | None],
    message: str = "m",
    metadata: dict[str, str] | None = None,
) -> Commit:
    """Put the objects, delete those that are None, commit."""
    for path, data in objects.items():
        if data is None:
            lake.delete(branch, path)
        else:
            lake.put(branch, path, data)
    return lake.commit(branch, message, metadata)


def side_by_side(lake: Lake, act: Callable[[str], object], names: Iterable[str]) -> None:
    """Act on many names in any order, with several threads where each waits for a server."""
    if lake.uri.startswith("file:"):
        with lake.unsynced():
            for name in names:
                act(name)
        return
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(act, names))


def put_all(lake: Lake, branch: str, names: Iterable[str], data: bytes = b"x") -> None:
    side_by_side(lake, lambda name: lake.put(branch, name, data), names)


def landing(lake: Lake) -> Land:
    """Brings objects to main through a branch of their own; gives the merge's commit id."""
    numbers: Iterator[int] = count()

    def land(objects: dict[str, bytes], message: str = "land") -> str:
        branch = f"land-{next(numbers)}"
        lake.create_branch(branch, "main")
        commit_on(lake, branch, objects, message)
        merged = lake.merge(branch, "main", message)
        lake.delete_branch(branch)
        return merged.commit_id

    return land
