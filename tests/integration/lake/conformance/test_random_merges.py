"""Merges and reverts of random trees against a model that goes path by path.

Few contents over many paths, so that most objects are equal to another one: a lake that told objects apart by content alone would
lose some of them here.
"""

import random

import pytest

from resources.lake import Lake, MergeConflict, NoChanges

PATHS = "abcdefgh"
CONTENTS = (None, None, b"x", b"y")

Tree = dict[str, bytes]


def moved(rng: random.Random, tree: Tree) -> Tree:
    """``tree`` with a few paths set, changed or removed."""
    after = dict(tree)
    for path in rng.sample(PATHS, rng.randint(1, 4)):
        content = rng.choice(CONTENTS)
        if content is None:
            after.pop(path, None)
        else:
            after[path] = content
    return after


def apply(lake: Lake, branch: str, before: Tree, after: Tree) -> str:
    """Commit the step on the branch; the head's id."""
    for path, content in after.items():
        if before.get(path) != content:
            lake.put(branch, path, content)
    lake.delete(branch, sorted(before.keys() - after.keys()))
    return lake.commit(branch, "step", allow_empty=True).id


def three_way(base: Tree, source: Tree, dest: Tree) -> tuple[Tree, tuple[str, ...]]:
    """The merged tree, and the paths in conflict."""
    merged, conflicts = {}, []
    for path in PATHS:
        b, s, d = base.get(path), source.get(path), dest.get(path)
        if s not in (b, d) and d != b:
            conflicts.append(path)
        kept = d if s == b else s
        if kept is not None:
            merged[path] = kept
    return merged, tuple(conflicts)


def content(lake: Lake, ref: str) -> Tree:
    return {item.path: lake.get(ref, item.path) for item in lake.list(ref)}


@pytest.mark.parametrize("seed", range(8))
def test_merging_and_reverting_goes_path_by_path(lake: Lake, seed: int) -> None:
    rng = random.Random(seed)
    lake.create_branch("base", "main")
    base = moved(rng, moved(rng, dict.fromkeys(PATHS[::2], b"x")))
    apply(lake, "base", {}, base)
    for number in range(3):
        source_name, dest_name = f"source{number}", f"dest{number}"
        lake.create_branch(source_name, "base")
        lake.create_branch(dest_name, "base")
        source, dest = moved(rng, base), moved(rng, base)
        step = apply(lake, source_name, base, source)
        apply(lake, dest_name, base, dest)
        merged, conflicts = three_way(base, source, dest)
        if conflicts:
            with pytest.raises(MergeConflict) as caught:
                lake.merge(source_name, dest_name, "m")
            assert caught.value.paths == conflicts
            assert content(lake, dest_name) == dest
            continue
        lake.merge(source_name, dest_name, "m")
        assert content(lake, dest_name) == merged
        later = moved(rng, merged)
        apply(lake, dest_name, merged, later)
        reverted, conflicts = three_way(source, base, later)
        if conflicts:
            with pytest.raises(MergeConflict):
                lake.revert(dest_name, step)
        elif reverted == later:
            with pytest.raises(NoChanges):
                lake.revert(dest_name, step)
        else:
            lake.revert(dest_name, step)
            assert content(lake, dest_name) == reverted
