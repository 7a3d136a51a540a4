"""Finding what a person named: refs and paths, with near misses where there is nothing of that name."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from resources.lake.errors import InvalidName, ObjectNotFound, RefNotFound
from resources.lake.protocol import MAIN, Commit, Lake, ObjectInfo, check_path

_SHOWN: Final = 3
_CUTOFF: Final = 0.6


def find_commit(lake: Lake, ref: str) -> Commit:
    """The commit of ``ref``. Raises RefNotFound that names refs much like it."""
    try:
        return lake.get_commit(ref)
    except (RefNotFound, InvalidName) as error:
        names = [*lake.list_branches(), *lake.list_tags()]
        meant = near_names(ref.rstrip("@"), names) or [name for name in names if ref and name.startswith(ref)][:_SHOWN]
        raise RefNotFound(
            f"{error}{_did_you_mean(meant, f'there is always {MAIN}; trading lake log lists commits')}"
        ) from None


def find_object(lake: Lake, ref: str, path: str) -> ObjectInfo:
    """The object at ``path``. Raises ObjectNotFound that names paths much like it, RefNotFound likewise."""
    commit = find_commit(lake, ref)
    try:
        return lake.stat(ref, check_path(path))
    except ObjectNotFound as error:
        raise ObjectNotFound(f"{error}{_did_you_mean(_near_paths(lake, commit.id, path), '')}") from None


def _near_paths(lake: Lake, ref: str, path: str) -> list[str]:
    """Paths like ``path``: the parts that exist are kept, the first that does not is looked for among its neighbours."""
    folder = ""
    parts = path.strip("/").split("/")
    for number, part in enumerate(parts):
        there = {
            entry.path.removeprefix(folder).rstrip("/"): entry.path for entry in lake.list(ref, folder, delimiter="/")
        }
        if part in there and number < len(parts) - 1:
            folder = there[part]
            continue
        if part in there:
            return [there[part]]
        # a partition's neighbours all look alike: the nearest by name, else the first and the last
        return [there[name] for name in near_names(part, there)] or sorted(
            {*list(there.values())[:1], *list(there.values())[-1:]}
        )
    return []


def near_names(name: str, names: Iterable[str]) -> list[str]:
    lower = {other.lower(): other for other in names}
    return [lower[found] for found in get_close_matches(name.lower(), lower, n=_SHOWN, cutoff=_CUTOFF)]


def _did_you_mean(names: list[str], otherwise: str) -> str:
    if names:
        return f". Did you mean {' or '.join(names)}?"
    return f"; {otherwise}" if otherwise else ""
