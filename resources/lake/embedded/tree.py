"""A persistent, ordered map from path to entry, whose shape depends on its content alone.

It is a prolly tree: the sorted items of every level are cut into nodes behind keys whose hash says so. So an
edit changes one node per level, equal content always has the equal root, and two trees are compared by
skipping the subtrees they share. Nodes are immutable and named by their hash. Nothing here does I/O: nodes
come and go through a :class:`NodeStore`.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import Any, NamedTuple, Protocol

_BITS = 5  # a node has 2**5 items on average
_MASK = (1 << _BITS) - 1


class Entry(NamedTuple):
    """A leaf item. ``modified`` (microseconds since 1970) is carried along, it is no part of the identity."""

    path: str
    checksum: str
    size: int
    metadata: dict[str, str]
    modified: int

    def same(self, other: "Entry | None") -> bool:
        return other is not None and self[1:4] == other[1:4]


class Child(NamedTuple):
    """An inner item: the last key below it, the node's hash and how many entries lie below."""

    path: str
    node: str
    entries: int


class Node(NamedTuple):
    """Level 0 holds entries, higher levels children; ``keys[i]`` is ``items[i].path``."""

    level: int
    keys: list[str]
    items: list[Any]


class NodeStore(Protocol):
    def load(self, node: str) -> Node: ...

    def save(self, node: Node) -> str: ...


def encode(node: Node) -> tuple[str, bytes]:
    """Hash and stored form of a node. The hash leaves ``modified`` out."""
    if node.level:
        body = json.dumps([node.level, node.items], ensure_ascii=False, separators=(",", ":")).encode()
        return sha256(body).hexdigest(), body
    body = json.dumps([0, [e[:4] for e in node.items]], ensure_ascii=False, separators=(",", ":")).encode()
    times = json.dumps([e.modified for e in node.items], separators=(",", ":")).encode()
    return sha256(body).hexdigest(), body[:-1] + b"," + times + b"]"


def stored_hash(data: bytes) -> str:
    """The hash of a node in its stored form, without decoding it."""
    is_leaf = data.startswith(b"[0,")
    return sha256(data[: data.rfind(b",[")] + b"]" if is_leaf else data).hexdigest()


def decode(data: bytes) -> Node:
    parts = json.loads(data)
    if parts[0]:
        items: list[Any] = [Child._make(item) for item in parts[1]]
    else:
        items = [Entry._make((*item, time)) for item, time in zip(parts[1], parts[2], strict=True)]
    return Node(parts[0], [item.path for item in items], items)


EMPTY = Node(0, [], [])
EMPTY_ROOT = encode(EMPTY)[0]


def lookup(store: NodeStore, root: str, path: str) -> Entry | None:
    node = store.load(root)
    while True:
        index = bisect_left(node.keys, path)
        if index == len(node.keys):
            return None
        item = node.items[index]
        if node.level == 0:
            return item if item.path == path else None
        node = store.load(item.node)


def scan(store: NodeStore, root: str, start: str = "", stop: str | None = None) -> Iterator[Entry]:
    """Entries with ``start <= path < stop`` in byte order."""
    pending = [root]
    while pending:
        node = store.load(pending.pop())
        first = bisect_left(node.keys, start)
        last = len(node.keys) if stop is None else bisect_left(node.keys, stop)
        if node.level == 0:
            yield from node.items[first:last]
        else:
            pending.extend(item.node for item in reversed(node.items[first : last + 1]))


def count(store: NodeStore, root: str) -> int:
    """Number of entries."""
    return _count(store.load(root))


def upper_bound(prefix: str) -> str | None:
    """The least string above every string with this prefix; None where there is none."""
    while prefix:
        code = ord(prefix[-1])
        if code < 0x10FFFF:
            return prefix[:-1] + chr(0xE000 if code == 0xD7FF else code + 1)
        prefix = prefix[:-1]
    return None


def edit(store: NodeStore, root: str, edits: Mapping[str, Entry | None]) -> str:
    """The root after setting (an entry) or removing (None) each path."""
    if not edits:
        return root
    height = store.load(root).level
    pending: list[tuple[str, Any]] = sorted(edits.items())
    for level in range(height + 1):
        pending = _edit_level(store, root, level, pending)
    children = [item for _, item in pending if item is not None]
    while len(children) > 1:
        height += 1
        children = [_save(store, height, chunk) for chunk in _chunks(children, height)]
    if not children:
        return store.save(EMPTY)
    result: str = children[0].node
    node = store.load(result)
    while node.level and len(node.items) == 1:
        result = node.items[0].node
        node = store.load(result)
    return result


def diff(
    store: NodeStore, left: str, right: str, start: str = "", stop: str | None = None
) -> Iterator[tuple[str, Entry | None, Entry | None]]:
    """Paths whose identity differs, with the entry of each side, in byte order."""
    if left == right:
        return
    a, b = _Frontier(store, left, start, stop), _Frontier(store, right, start, stop)
    while a.stack or b.stack:
        if not b.stack or not a.stack:
            rest = a if a.stack else b
            while rest.stack:
                if rest.is_entry():
                    entry = rest.take()
                    yield (entry.path, entry, None) if rest is a else (entry.path, None, entry)
                else:
                    rest.expand()
        elif a.is_entry() and b.is_entry():
            x, y = a.head(), b.head()
            if x.path <= y.path:
                a.take()
            if y.path <= x.path:
                b.take()
            if x.path < y.path:
                yield x.path, x, None
            elif y.path < x.path:
                yield y.path, None, y
            elif not x.same(y):
                yield x.path, x, y
        elif not a.is_entry() and not b.is_entry() and a.head().node == b.head().node:
            a.take()
            b.take()
        elif b.before(a):
            if b.is_entry():
                entry = b.take()
                yield entry.path, None, entry
            else:
                b.expand()
        elif a.before(b):
            if a.is_entry():
                entry = a.take()
                yield entry.path, entry, None
            else:
                a.expand()
        else:
            deeper = a.level() - b.level()
            if deeper >= 0:
                a.expand()
            if deeper <= 0:
                b.expand()


@lru_cache(maxsize=65536)
def _rank(key: str) -> int:
    """How many levels end a node behind this key."""
    bits = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")
    rank = 0
    while bits & _MASK == 0 and rank < 12:
        rank += 1
        bits >>= _BITS
    return rank


def _chunks(items: list[Any], level: int) -> Iterator[list[Any]]:
    first = 0
    for index, item in enumerate(items):
        if _rank(item.path) > level:
            yield items[first : index + 1]
            first = index + 1
    if first < len(items):
        yield items[first:]


def _count(node: Node) -> int:
    return sum(item.entries for item in node.items) if node.level else len(node.items)


def _save(store: NodeStore, level: int, items: list[Any]) -> Child:
    node = Node(level, [item.path for item in items], items)
    return Child(items[-1].path, store.save(node), _count(node))


def _locate(store: NodeStore, root: str, level: int, key: str, *, beyond: bool = False) -> tuple[Node, bool]:
    """The node of ``level`` in whose span ``key`` falls (``beyond``: the next one), and if it is the last."""
    node, is_last = store.load(root), True
    while node.level > level:
        index = (bisect_right if beyond else bisect_left)(node.keys, key)
        index = min(index, len(node.keys) - 1)
        is_last = is_last and index == len(node.keys) - 1
        node = store.load(node.items[index].node)
    return node, is_last


def _edit_level(store: NodeStore, root: str, level: int, edits: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Apply sorted edits to the items of one level; return the edits they mean for the level above."""
    above: dict[str, Child | None] = {}
    position = 0
    while position < len(edits):
        node, is_last = _locate(store, root, level, edits[position][0])
        items: list[Any] = []
        while True:
            if node.keys:
                above[node.keys[-1]] = None
            end = position
            while end < len(edits) and (is_last or edits[end][0] <= node.keys[-1]):
                end += 1
            items += _merged(node, edits[position:end])
            position = end
            if is_last or (items and _rank(items[-1].path) > level):
                break
            # the key that closed this node is gone, so what follows flows into it
            node, is_last = _locate(store, root, level, node.keys[-1], beyond=True)
        for chunk in _chunks(items, level):
            child = _save(store, level, chunk)
            above[child.path] = child
    return sorted(above.items())


def _merged(node: Node, edits: list[tuple[str, Any]]) -> list[Any]:
    if not edits:
        return node.items
    items = {item.path: item for item in node.items}
    for key, item in edits:
        if item is None:
            items.pop(key, None)
        else:
            items[key] = item
    return [items[key] for key in sorted(items)]


class _Frontier:
    """What is left of one tree during a diff: items still to come, next on top, each with a lower bound."""

    def __init__(self, store: NodeStore, root: str, start: str, stop: str | None) -> None:
        self.store, self.start, self.stop = store, start, stop
        self.stack: list[tuple[str, int, Any]] = []  # (low, level of the node it is in, item)
        self._push("", store.load(root))

    def _push(self, low: str, node: Node) -> None:
        first = bisect_left(node.keys, self.start)
        last = len(node.keys) if self.stop is None else bisect_left(node.keys, self.stop) + (node.level > 0)
        lows = [low, *node.keys]
        self.stack.extend(
            (lows[index], node.level, node.items[index])
            for index in range(min(last, len(node.keys)) - 1, first - 1, -1)
        )

    def head(self) -> Any:
        return self.stack[-1][2]

    def level(self) -> int:
        return self.stack[-1][1]

    def is_entry(self) -> bool:
        return self.stack[-1][1] == 0

    def before(self, other: "_Frontier") -> bool:
        """All below this head sorts before all of the other's head."""
        path: str = self.stack[-1][2].path
        return path <= other.stack[-1][0]

    def take(self) -> Any:
        return self.stack.pop()[2]

    def expand(self) -> None:
        low, _, item = self.stack.pop()
        self._push(low, self.store.load(item.node))
