"""Garbage collection against a naive model: what must stay is recorded whole and reckoned by brute force."""

import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from resources.lake import DirtyBranch, Gone, MergeConflict, NoChanges, ObjectInfo, RefNotFound
from resources.lake.embedded import EmbeddedLake, GcReport
from resources.lake.embedded.tree import EMPTY, Entry, Node, edit, encode

PATHS = [f"{folder}/{number:02d}" for folder in ("a", "b") for number in range(30)]
Tree = dict[str, bytes]


@dataclass
class Branch:
    head: str
    staged: dict[str, bytes | None] = field(default_factory=dict)


class Nodes:
    """A node store which is a dictionary, to build trees anew."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}

    def save(self, node: Node) -> str:
        name = encode(node)[0]
        self.nodes[name] = node
        return name

    def load(self, node: str) -> Node:
        return self.nodes[node]

    def below(self, tree: Tree) -> set[str]:
        """Names of the nodes that the tree must have."""
        entries = {path: Entry(path, checksum(data), len(data), {}, 0) for path, data in tree.items()}
        pending, found = [edit(self, self.save(EMPTY), entries)], set()
        while pending:
            name = pending.pop()
            found.add(name)
            node = self.nodes[name]
            pending.extend(item.node for item in node.items if node.level)
        return found


def checksum(data: bytes) -> str:
    return sha256(data).hexdigest()


class CollectionMachine(RuleBasedStateMachine):
    branches = Bundle("branches")
    commits = Bundle("commits")
    tags = Bundle("tags")

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.now = datetime(2024, 1, 1, tzinfo=UTC)
        self.lake = EmbeddedLake(Path(self.directory.name) / "lake", clock=lambda: self.now)
        self.trees: dict[str, Tree] = {}
        self.created: dict[str, datetime] = {}
        self.parents: dict[str, tuple[str, ...]] = {}
        self.expired: set[str] = set()
        self.heads: dict[str, Branch] = {}
        self.pins: dict[str, str] = {}
        self.made = 0
        self.unsynced = self.lake.unsynced()  # what the disk makes of it is tested elsewhere
        self.unsynced.__enter__()

    def teardown(self) -> None:
        self.collect(timedelta(0), grace=False)
        assert list(self.lake.verify()) == []
        self.unsynced.__exit__(None, None, None)
        self.lake.close()
        self.directory.cleanup()

    def record(self, commit_id: str) -> str:
        commit = self.lake.get_commit(commit_id)
        self.created[commit_id], self.parents[commit_id] = commit.created, commit.parents
        self.trees[commit_id] = self.content(commit_id)
        return commit_id

    def content(self, ref: str) -> Tree:
        return {
            item.path: self.lake.get(ref, item.path) for item in self.lake.list(ref) if isinstance(item, ObjectInfo)
        }

    def name(self, kind: str) -> str:
        self.made += 1
        return f"{kind}{self.made}"

    def usable(self, commit: str) -> type[Exception] | None:
        """The error which a commit whose content is gone must give."""
        if commit not in self.trees:
            return RefNotFound
        return Gone if commit in self.expired else None

    @initialize(target=branches)
    def start(self):
        first = self.record(self.lake.resolve("main"))
        self.heads["main"] = Branch(first)
        self.heads["dev"] = Branch(self.lake.create_branch("dev", "main"))
        return "dev"

    @rule(target=branches, source=st.one_of(st.just("main"), commits))
    def branch(self, source: str):
        name = self.name("b")
        commit = self.heads["main"].head if source == "main" else source
        if error := self.usable(commit):
            with pytest.raises(error):
                self.lake.create_branch(name, source)
            return multiple()
        self.heads[name] = Branch(self.lake.create_branch(name, source))
        return name

    @rule(branch=branches, paths=st.sets(st.sampled_from(PATHS), min_size=1, max_size=12), value=st.integers(0, 3))
    def put(self, branch: str, paths: set[str], value: int) -> None:
        if branch in self.heads:
            for path in paths:
                data = f"{path[:2]}{value}".encode()
                self.lake.put(branch, path, data)
                self.heads[branch].staged[path] = data

    @rule(branch=branches, paths=st.sets(st.sampled_from(PATHS), min_size=1, max_size=20))
    def delete(self, branch: str, paths: set[str]) -> None:
        if branch in self.heads:
            self.lake.delete(branch, paths)
            self.heads[branch].staged.update(dict.fromkeys(paths))

    @rule(branch=branches)
    def discard(self, branch: str) -> None:
        if branch in self.heads:
            self.lake.discard(branch)
            self.heads[branch].staged = {}

    @rule(target=commits, branch=branches)
    def commit(self, branch: str):
        if branch not in self.heads:
            return multiple()
        try:
            made = self.record(self.lake.commit(branch, "m").id)
        except NoChanges:
            return multiple()
        self.heads[branch] = Branch(made)
        return made

    @rule(target=commits, branch=branches, forward=st.booleans())
    def merge(self, branch: str, forward: bool):
        if branch not in self.heads:
            return multiple()
        source, dest = (branch, "main") if forward else ("main", branch)
        try:
            merged = self.lake.merge(source, dest, "m", strategy="source-wins")
        except (DirtyBranch, MergeConflict):
            return multiple()
        if merged.already_merged:
            return multiple()
        self.heads[dest] = Branch(self.record(merged.commit_id))
        return merged.commit_id

    @rule(target=branches, paths=st.sets(st.sampled_from(PATHS), min_size=1, max_size=6), value=st.integers(4, 9))
    def fork(self, paths: set[str], value: int) -> str:
        """A branch with a commit of its own, which main may leave behind."""
        name = self.branch("main")
        self.put(name, paths, value)
        if self.commit(name) == multiple():
            self.discard(name)
        return name

    @rule(
        target=commits,
        paths=st.sets(st.sampled_from(PATHS), min_size=1, max_size=6),
        value=st.integers(4, 9),
        pinned=st.booleans(),
    )
    def publish(self, paths: set[str], value: int, pinned: bool):
        name = self.fork(paths, value)
        merged = self.merge(name, True)
        self.delete_branch(name)
        if pinned:
            self.tag(self.heads["main"].head)
        self.now += timedelta(hours=6)
        return merged

    @rule(branch=branches)
    def rollback(self, branch: str) -> None:
        if branch not in self.heads or not self.parents[self.heads[branch].head]:
            return
        before = self.parents[self.heads[branch].head][0]
        try:
            self.lake.rollback(branch, f"{branch}~1")
        except DirtyBranch:
            return
        except Gone:
            assert self.usable(before) is Gone
            return
        self.heads[branch] = Branch(before)

    @rule(branch=branches)
    def delete_branch(self, branch: str) -> None:
        if branch in self.heads:
            self.lake.delete_branch(branch)
            del self.heads[branch]

    @rule(target=tags, commit=commits)
    def tag(self, commit: str):
        name = self.name("t")
        if error := self.usable(commit):
            with pytest.raises(error):
                self.lake.create_tag(name, commit)
            return multiple()
        self.pins[name] = self.lake.create_tag(name, commit)
        return name

    @rule(tag=tags)
    def delete_tag(self, tag: str) -> None:
        if tag in self.pins:
            self.lake.delete_tag(tag)
            del self.pins[tag]

    @rule(hours=st.integers(1, 72))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(retention=st.sampled_from([0, 0, 1, 24, 48, 100]), grace=st.sampled_from([False, False, False, True]))
    def gc(self, retention: int, grace: bool) -> None:
        self.collect(timedelta(hours=retention), grace=grace)

    def collect(self, retention: timedelta, *, grace: bool) -> None:
        """Dry run, model and run must agree."""
        kept = self.must_stay(self.now - retention)
        reachable = self.ancestors(kept)
        live = kept - self.expired
        contents = {data for commit in live for data in self.trees[commit].values()}
        contents |= {data for b in self.heads.values() for data in b.staged.values() if data is not None}
        nodes = Nodes()
        wanted_nodes = {node for commit in live for node in nodes.below(self.trees[commit])}
        before, nodes_before = self.files(), self.number_of_nodes()
        garbage = {} if grace else {f: s for f, s in before.items() if f not in {checksum(d) for d in contents}}
        stay = {file: size for file, size in before.items() if file not in garbage}
        allowed = timedelta(hours=1) if grace else timedelta(0)
        expected = GcReport(
            dry_run=True,
            objects=len(garbage),
            object_bytes=sum(garbage.values()),
            nodes=nodes_before - len(wanted_nodes),
            commits_expired=len(reachable - kept - self.expired),
            commits_deleted=len(self.trees.keys() - reachable),
            temporary_files=0,
            kept_objects=len(stay),
            kept_bytes=sum(stay.values()),
            oldest_kept=min(self.created[commit] for commit in live),
        )
        assert self.lake.gc(retention, grace=allowed, dry_run=True) == expected
        assert (self.files(), self.number_of_nodes()) == (before, nodes_before)
        assert self.lake.gc(retention, grace=allowed) == replace(expected, dry_run=False)
        assert (self.files(), self.number_of_nodes()) == (stay, len(wanted_nodes))
        self.expired |= reachable - kept
        for commit in self.trees.keys() - reachable:
            for record in (self.trees, self.created, self.parents):
                del record[commit]
            self.expired.discard(commit)
            with pytest.raises(RefNotFound):
                self.lake.get_commit(commit)
        self.all_reads_as_recorded()

    def must_stay(self, horizon: datetime) -> set[str]:
        """Commits whose content must stay: what refs point to, the window, and what merges to come begin from."""
        kept = {branch.head for branch in self.heads.values()} | set(self.pins.values())
        kept |= {commit for commit, created in self.created.items() if created >= horizon} - self.expired
        return kept | {self.lake.merge_base("main@", f"{name}@") for name in self.heads}

    def ancestors(self, commits: set[str]) -> set[str]:
        found, pending = set(), list(commits)
        while pending:
            commit = pending.pop()
            if commit not in found:
                found.add(commit)
                pending.extend(self.parents[commit])
        return found

    def files(self) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in (self.lake.directory / "objects").glob("*/*")}

    def number_of_nodes(self) -> int:
        with self.lake._database.read() as sql:
            number: int = sql.execute("SELECT count(*) FROM nodes").fetchone()[0]
        return number

    def all_reads_as_recorded(self) -> None:
        for commit, tree in self.trees.items():
            if commit in self.expired:
                with pytest.raises(Gone):
                    self.lake.list(commit)
            else:
                assert self.content(commit) == tree
            assert self.lake.get_commit(commit).parents == self.parents[commit]
        assert self.lake.list_tags() == dict(sorted(self.pins.items()))

    @invariant()
    def branches_read_as_recorded(self) -> None:
        for name, branch in self.heads.items():
            view = {**self.trees[branch.head], **branch.staged}
            assert self.content(name) == {path: data for path, data in sorted(view.items()) if data is not None}


TestCollections = CollectionMachine.TestCase
TestCollections.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
