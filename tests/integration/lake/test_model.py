"""Any sequence of calls behaves as on a naive model: dicts of whole trees, and sets of ancestors."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from resources.lake import (
    DirtyBranch,
    Forbidden,
    MergeConflict,
    NoChanges,
    PreconditionFailed,
    open_lake,
)
from resources.lake.embedded import EmbeddedLake

PATHS = [f"{folder}/{name}" for folder in ("a", "b") for name in ("x", "y", "z")] + ["a", "c"]
Tree = dict[str, bytes]


@dataclass
class Branch:
    head: str
    staged: dict[str, bytes | None] = field(default_factory=dict)


class LakeMachine(RuleBasedStateMachine):
    branches = Bundle("branches")
    commits = Bundle("commits")

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        lake = open_lake((Path(self.directory.name) / "lake").as_uri())
        assert isinstance(lake, EmbeddedLake)
        self.lake = lake
        self.trees: dict[str, Tree] = {}
        self.parents: dict[str, tuple[str, ...]] = {}
        self.model: dict[str, Branch] = {}
        self.made = 0
        self.unsynced = lake.unsynced()  # thousands of calls: what the disk makes of them is tested elsewhere
        self.unsynced.__enter__()

    def teardown(self) -> None:
        assert list(self.lake.verify()) == []
        for commit, tree in self.trees.items():
            assert {item.path: self.lake.get(commit, item.path) for item in self.lake.list(commit)} == tree
        self.unsynced.__exit__(None, None, None)
        self.lake.close()
        self.directory.cleanup()

    def record(self, commit: str, tree: Tree, *parents: str) -> str:
        self.trees[commit], self.parents[commit] = dict(tree), parents
        assert self.lake.get_commit(commit).parents == parents
        return commit

    def ancestors(self, commit: str) -> set[str]:
        found, pending = set(), [commit]
        while pending:
            here = pending.pop()
            if here not in found:
                found.add(here)
                pending.extend(self.parents[here])
        return found

    def view(self, branch: Branch) -> Tree:
        merged = {**self.trees[branch.head], **branch.staged}
        return {path: data for path, data in merged.items() if data is not None}

    def dirty(self, branch: Branch) -> bool:
        return self.view(branch) != self.trees[branch.head]

    def three_way(self, base: Tree, source: Tree, dest: Tree, strategy: str | None) -> tuple[Tree, list[str]]:
        result, conflicts = dict(dest), []
        for path in sorted(base.keys() | source.keys()):
            before, after, now = base.get(path), source.get(path), dest.get(path)
            if after in (before, now):
                continue
            if now == before or strategy == "source-wins":
                result.pop(path, None)
                if after is not None:
                    result[path] = after
            elif strategy is None:
                conflicts.append(path)
        return result, conflicts

    @initialize(target=branches)
    def start(self):
        first = self.lake.resolve("main")
        self.record(first, {})
        self.model["main"] = Branch(first)
        self.model["dev"] = Branch(self.lake.create_branch("dev", "main"))
        return multiple("main", "dev")

    @rule(target=branches, source=branches)
    def branch(self, source: str) -> str:
        self.made += 1
        name = f"b{self.made}"
        assert self.lake.create_branch(name, source) == self.model[source].head
        self.model[name] = Branch(self.model[source].head)
        return name

    @rule(branch=branches, path=st.sampled_from(PATHS), value=st.integers(0, 2))
    def put(self, branch: str, path: str, value: int) -> None:
        data = str(value).encode()
        if branch == "main":
            with pytest.raises(Forbidden):
                self.lake.put(branch, path, data)
        else:
            self.lake.put(branch, path, data)
            self.model[branch].staged[path] = data

    @rule(branch=branches, paths=st.sets(st.sampled_from(PATHS), max_size=4))
    def delete(self, branch: str, paths: set[str]) -> None:
        if branch != "main":
            self.lake.delete(branch, paths)
            self.model[branch].staged.update(dict.fromkeys(paths))

    @rule(branch=branches, path=st.sampled_from(PATHS))
    def put_if_absent(self, branch: str, path: str) -> None:
        if branch == "main":
            return
        if path in self.view(self.model[branch]):
            with pytest.raises(PreconditionFailed):
                self.lake.put(branch, path, b"first", if_absent=True)
        else:
            self.lake.put(branch, path, b"first", if_absent=True)
            self.model[branch].staged[path] = b"first"

    @rule(branch=branches, prefix=st.sampled_from(["", "a", "a/", "b/x"]))
    def discard(self, branch: str, prefix: str) -> None:
        self.lake.discard(branch, prefix=prefix)
        staged = self.model[branch].staged
        self.model[branch].staged = {p: data for p, data in staged.items() if not p.startswith(prefix)}

    @rule(target=commits, branch=branches)
    def commit(self, branch: str):
        state = self.model[branch]
        if branch == "main":
            return multiple()
        if not self.dirty(state):
            with pytest.raises(NoChanges):
                self.lake.commit(branch, "m")
            return multiple()
        tree = self.view(state)
        state.head = self.record(self.lake.commit(branch, "m").id, tree, state.head)
        state.staged = {}
        return state.head

    @rule(
        target=commits,
        source=branches,
        dest=branches,
        strategy=st.sampled_from([None, None, "source-wins", "dest-wins"]),
    )
    def merge(self, source: str, dest: str, strategy):
        left, right = self.model[dest], self.model[source].head
        base = self.lake.merge_base(source, dest)
        common = self.ancestors(left.head) & self.ancestors(right)
        assert base in common
        assert not any(base in self.ancestors(other) for other in common - {base})
        if base == right:
            result = self.lake.merge(source, dest, "m", strategy=strategy)
            assert result.already_merged and result.commit_id == left.head
            return multiple()
        if self.dirty(left):
            with pytest.raises(DirtyBranch):
                self.lake.merge(source, dest, "m", strategy=strategy)
            return multiple()
        tree, conflicts = self.three_way(self.trees[base], self.trees[right], self.trees[left.head], strategy)
        if conflicts:
            with pytest.raises(MergeConflict) as caught:
                self.lake.merge(source, dest, "m", strategy=strategy)
            assert list(caught.value.paths) == conflicts
            return multiple()
        merged = self.lake.merge(source, dest, "m", strategy=strategy)
        assert not merged.already_merged
        left.head, left.staged = self.record(merged.commit_id, tree, left.head, right), {}
        return left.head

    @rule(target=commits, branch=branches, undone=commits)
    def revert(self, branch: str, undone: str):
        state = self.model[branch]
        if branch == "main":
            return multiple()
        parent = min(len(self.parents[undone]), 2) - 1
        if self.dirty(state):
            with pytest.raises(DirtyBranch):
                self.lake.revert(branch, undone, parent=parent + 1)
            return multiple()
        before = self.trees[self.parents[undone][parent]]
        tree, conflicts = self.three_way(self.trees[undone], before, self.trees[state.head], None)
        if conflicts or tree == self.trees[state.head]:
            with pytest.raises(MergeConflict if conflicts else NoChanges):
                self.lake.revert(branch, undone, parent=parent + 1)
            return multiple()
        made = self.lake.revert(branch, undone, parent=parent + 1).id
        state.head, state.staged = self.record(made, tree, state.head), {}
        return made

    @rule(branch=branches, to=commits)
    def rollback(self, branch: str, to: str) -> None:
        state = self.model[branch]
        if branch == "main":
            return
        if self.dirty(state):
            with pytest.raises(DirtyBranch):
                self.lake.rollback(branch, to)
        else:
            self.lake.rollback(branch, to)
            state.head, state.staged = to, {}

    @rule(left=branches, right=branches)
    def diff(self, left: str, right: str) -> None:
        def compare(a: Tree, b: Tree) -> list[tuple[str, str]]:
            return [
                (p, "added" if p not in a else "removed" if p not in b else "changed")
                for p in sorted(a.keys() | b.keys())
                if a.get(p) != b.get(p)
            ]

        ours, theirs = self.model[left], self.model[right]
        found = [(c.path, c.type) for c in self.lake.diff(left, right, mode="two_dot")]
        assert found == compare(self.trees[ours.head], self.view(theirs))
        base, tip = self.trees[self.lake.merge_base(left, right)], self.trees[ours.head]
        expected = [
            (p, "conflict" if tip.get(p) not in (base.get(p), self.trees[theirs.head].get(p)) else kind)
            for p, kind in compare(base, self.trees[theirs.head])
        ]
        assert [(c.path, c.type) for c in self.lake.diff(left, right)] == expected

    @rule(branch=branches, path=st.sampled_from(PATHS), first_parent=st.booleans())
    def log_of_a_path(self, branch: str, path: str, first_parent: bool) -> None:
        expected = [
            commit.id
            for commit in self.lake.log(branch, first_parent=first_parent)
            if self.parents[commit.id]
            and self.trees[commit.id].get(path) != self.trees[self.parents[commit.id][0]].get(path)
        ]
        found = [c.id for c in self.lake.log(branch, path=path, first_parent=first_parent)]
        assert found == expected

    @invariant()
    def every_branch_reads_as_the_model(self) -> None:
        for name, state in self.model.items():
            view = self.view(state)
            assert self.lake.resolve(name) == state.head
            assert [item.path for item in self.lake.list(name)] == sorted(view)
            assert [item.path for item in self.lake.list(name, delimiter="/")] == sorted(
                {p if "/" not in p else p[: p.index("/") + 1] for p in view}
            )
            assert {c.id for c in self.lake.log(name)} == self.ancestors(state.head)
            assert [c.path for c in self.lake.uncommitted(name)] == sorted(
                p for p in PATHS if view.get(p) != self.trees[state.head].get(p)
            )


TestModel = LakeMachine.TestCase
TestModel.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
