"""Walks every tree of a store once, past the node cache, and remembers who points to what."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from resources.lake.embedded.database import Database
from resources.lake.embedded.history import CommitRow
from resources.lake.embedded.tree import decode
from resources.lake.errors import CorruptObject

_WHOLE: Final = ("", None)


class Broken(NamedTuple):
    """A tree node that cannot be read: the paths it answers for lie above ``low`` up to ``high``, None for all."""

    detail: str
    low: str
    high: str | None


class Reach:
    """What the trees visited so far hold.

    Attributes:
        objects: size and paths by checksum.
        broken: the nodes which are missing or damaged.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._below: dict[str, tuple[tuple[str, ...], frozenset[str]]] = {}  # node: (child nodes, checksums)
        self.objects: dict[str, tuple[int, set[str]]] = {}
        self.broken: dict[str, Broken] = {}

    def visit(self, root: str) -> None:
        pending: list[tuple[str, str, str | None]] = [(root, *_WHOLE)]
        while pending:
            name, low, high = pending.pop()
            if name in self._below:
                continue
            self._below[name] = ((), frozenset())
            try:
                data = self._database.stored(name)
                if data is None:
                    self.broken[name] = Broken("missing", low, high)
                    continue
                node = decode(data)
            except (CorruptObject, ValueError, TypeError, LookupError):
                self.broken[name] = Broken("its content does not match its hash", low, high)
                continue
            if node.level:
                children = tuple(item.node for item in node.items)
                self._below[name] = (children, frozenset())
                lows = [low, *node.keys]
                pending.extend((item.node, lows[index], item.path) for index, item in enumerate(node.items))
            else:
                self._below[name] = ((), frozenset(entry.checksum for entry in node.items))
                for entry in node.items:
                    self.objects.setdefault(entry.checksum, (entry.size, set()))[1].add(entry.path)

    def known_paths(self) -> Iterator[str]:
        """Paths in sound nodes, some more than once."""
        for _, paths in self.objects.values():
            yield from paths

    def commits_reaching(self, commits: Iterable[CommitRow], target: str) -> tuple[str, ...]:
        """Ids of the commits whose tree holds the node or the object ``target``."""
        above: dict[str, list[str]] = {}
        for name, (children, _) in self._below.items():
            for child in children:
                above.setdefault(child, []).append(name)
        reached = {target} | {name for name, (_, checksums) in self._below.items() if target in checksums}
        pending = list(reached)
        while pending:
            for parent in above.get(pending.pop(), ()):
                if parent not in reached:
                    reached.add(parent)
                    pending.append(parent)
        return tuple(commit.id for commit in commits if commit.root in reached)
