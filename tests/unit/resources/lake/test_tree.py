"""The tree against a plain dict: same content, one root; edits, scans and diffs that touch little."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.lake.embedded.tree import (
    EMPTY,
    EMPTY_ROOT,
    Entry,
    Node,
    count,
    decode,
    diff,
    edit,
    encode,
    lookup,
    scan,
    upper_bound,
)


class Nodes(dict[str, Node]):
    """Nodes in memory, counting what is loaded and saved."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded = self.saved = 0
        self.save(EMPTY)

    def load(self, node: str) -> Node:
        self.loaded += 1
        return self[node]

    def save(self, node: Node) -> str:
        self.saved += 1
        name, data = encode(node)
        assert decode(data) == node
        self[name] = node
        return name


def entry(path: str, version: int = 0) -> Entry:
    return Entry(path, f"{version:064x}", version, {"v": str(version)} if version else {}, 1_700_000_000_000_000)


def numbered(count: int) -> dict[str, Entry | None]:
    return {f"d/{number:06d}": entry(f"d/{number:06d}") for number in range(count)}


paths = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4) | st.integers(0, 400).map(
    lambda number: f"p/{number:04d}"
)
batches = st.lists(st.dictionaries(paths, st.none() | st.integers(0, 3), max_size=300), max_size=6)


@settings(max_examples=60, deadline=None)
@given(batches, paths, paths)
def test_any_edits_behave_as_on_a_dict_and_leave_the_root_of_the_content(edits, low, high) -> None:
    nodes, model, root = Nodes(), {}, EMPTY_ROOT
    for batch in edits:
        before, old_root = dict(model), root
        changes = {path: None if version is None else entry(path, version) for path, version in batch.items()}
        root = edit(nodes, root, changes)
        model = {path: e for path, e in {**model, **changes}.items() if e is not None}
        ordered = sorted(model)
        assert list(scan(nodes, root)) == [model[path] for path in ordered]
        assert [e.path for e in scan(nodes, root, low, high)] == [p for p in ordered if low <= p < high]
        assert count(nodes, root) == len(model)
        assert root == edit(Nodes(), EMPTY_ROOT, model) == edit(nodes, root, {})
        expected = [
            (path, before.get(path), model.get(path))
            for path in sorted(before.keys() | model.keys())
            if before.get(path) != model.get(path)
        ]
        assert list(diff(nodes, old_root, root)) == expected
        assert list(diff(nodes, old_root, root, low, high)) == [d for d in expected if low <= d[0] < high]
        for path in batch:
            assert lookup(nodes, root, path) == model.get(path)


def test_thousands_of_entries_make_the_same_tree_in_any_order() -> None:
    wanted = numbered(5_000)
    nodes = Nodes()
    whole = edit(nodes, EMPTY_ROOT, wanted)
    assert nodes[whole].level == 2
    root, items = EMPTY_ROOT, list(wanted.items())
    random.Random(3).shuffle(items)
    for first in range(0, len(items), 700):
        root = edit(nodes, root, dict(items[first : first + 700]))
    extra = {f"e/{number}": entry(f"e/{number}") for number in range(900)}
    root = edit(nodes, edit(nodes, root, extra), dict.fromkeys(extra))
    assert root == whole
    assert edit(nodes, whole, dict.fromkeys(wanted)) == EMPTY_ROOT


def test_one_edit_costs_as_many_nodes_in_a_hundred_thousand_entries_as_the_tree_is_high() -> None:
    nodes = Nodes()
    root = edit(nodes, EMPTY_ROOT, numbered(100_000))
    height = nodes[root].level + 1
    rng = random.Random(7)
    most = 0
    for _ in range(200):
        path = f"d/{rng.randrange(100_000):06d}x"
        nodes.saved = 0
        changed = edit(nodes, root, {path: entry(path)})
        most = max(most, nodes.saved)
        nodes.loaded = 0
        assert [d[0] for d in diff(nodes, root, changed)] == [path]
        assert nodes.loaded <= 4 * (height + 2)
    assert height == 4
    assert most <= height + 3  # one node a level, and now and then a split


def test_the_time_of_an_entry_is_carried_and_no_part_of_the_identity() -> None:
    nodes = Nodes()
    early, late = Entry("a", "0" * 64, 1, {}, 1), Entry("a", "0" * 64, 1, {}, 2)
    assert edit(nodes, EMPTY_ROOT, {"a": early}) == edit(nodes, EMPTY_ROOT, {"a": late})
    fresh = Nodes()
    assert lookup(fresh, edit(fresh, EMPTY_ROOT, {"a": late}), "a") == late


@pytest.mark.parametrize(
    ("prefix", "bound"),
    [("a", "b"), ("a/", "a0"), ("", None), ("\U0010ffff", None), ("a\U0010ffff", "b"), ("\ud7ff", "\ue000")],
)
def test_upper_bound(prefix: str, bound: str | None) -> None:
    assert upper_bound(prefix) == bound
