"""What the workers of the kill tests do to a store, and how each tells what was acknowledged to it."""

import contextlib
import json
import os
import random
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from resources.lake import Contention, Gone, NoChanges, PreconditionFailed, open_lake
from resources.lake.embedded import EmbeddedLake

T = TypeVar("T")

SLOTS = 8
CLAIMS = 400
SHARED = "shared"


def opened(uri: str) -> EmbeddedLake:
    lake = open_lake(uri, clock=lambda: datetime.now(UTC))
    assert isinstance(lake, EmbeddedLake)
    return lake


# one operation each, to be killed at every point


def put(uri: str) -> None:
    with opened(uri) as lake:
        lake.put("empty", "p", b"p" * 10_000, metadata={"k": "v"})


def put_large(uri: str) -> None:
    """From this size on the content is hashed while the disk writes it."""
    with opened(uri) as lake:
        lake.put("empty", "p", b"p" * 300_000)


def put_over_what_is_stored(uri: str) -> None:
    with opened(uri) as lake:
        lake.put("empty", "p", b"keep")


def delete(uri: str) -> None:
    with opened(uri) as lake:
        lake.delete("empty", ["x", "old", "absent"])


def commit(uri: str) -> None:
    with opened(uri) as lake:
        lake.commit("work", "worked")


def merge(uri: str) -> None:
    with opened(uri) as lake:
        lake.merge("ready", "main", "merged")


def discard(uri: str) -> None:
    with opened(uri) as lake:
        lake.discard("work")


def create_branch(uri: str) -> None:
    with opened(uri) as lake:
        lake.create_branch("made", "ready")


def delete_branch(uri: str) -> None:
    with opened(uri) as lake:
        lake.delete_branch("work")


def create_tag(uri: str) -> None:
    with opened(uri) as lake:
        lake.create_tag("made", "ready")


def delete_tag(uri: str) -> None:
    with opened(uri) as lake:
        lake.delete_tag("pinned")


def rollback(uri: str) -> None:
    with opened(uri) as lake:
        lake.rollback("ready", "ready~1")


def revert(uri: str) -> None:
    with opened(uri) as lake:
        lake.revert("ready", "ready")


def gc(uri: str) -> None:
    with opened(uri) as lake:
        lake.gc(timedelta(0), grace=timedelta(0))


def open_only(uri: str) -> None:
    with opened(uri):
        pass


def publication(uri: str, name: str) -> None:
    """Two objects changed, one added, one removed, in one commit, merged: what a kill must not split."""
    with opened(uri) as lake:
        lake.create_branch(name, "main")
        for path in ("x", "y", "own"):
            lake.put(name, path, f"published {path}".encode())
        lake.delete(name, ["old"])
        lake.commit(name, "published")
        lake.merge(name, "main", "published", strategy="source-wins")
        lake.delete_branch(name)


# one worker of many, doing anything until it is killed


def torture(uri: str, session: str, seed: int, acknowledged: str) -> None:
    log = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        Torture(uri, session, seed, log).run()
    except BaseException:
        os.write(log, (json.dumps(["error", traceback.format_exc()]) + "\n").encode())
        raise


class Torture:
    """Every line it writes is something that returned to it; what it is about to undo, it says before."""

    def __init__(self, uri: str, session: str, seed: int, log: int) -> None:
        self.lake = opened(uri)
        self.session = session
        self.rng = random.Random(seed)
        self._log = log
        self._own: list[str] = []

    def say(self, *facts: Any) -> None:
        os.write(self._log, (json.dumps(facts) + "\n").encode())

    def run(self) -> None:
        others = (self.share, self.claim, self.collect, self.discard)
        for number in count():
            if self.rng.random() < 0.6:
                self.publish(number)
            else:
                self.rng.choice(others)(number)

    def publish(self, number: int) -> None:
        """Several paths changed and one removed, as one commit and one merge."""
        name = f"{self.session}-{number}"
        branch, own = f"w-{name}", f"own/{self.session}/{number}"
        edits: dict[str, str | None] = {own: name}
        edits |= {f"slot/{slot}": f"{name} {slot}" for slot in self.rng.sample(range(SLOTS), 2)}
        if self._own and self.rng.random() < 0.7:
            edits[self._own.pop(0)] = None
        metadata = {"publication": name, "edits": json.dumps(edits)}
        lake = self.lake
        insist(lambda: lake.create_branch(branch, "main"))
        for path, text in edits.items():
            if text is None:
                insist(lambda path=path: lake.delete(branch, path))
            else:
                if self.rng.random() < 0.2:
                    insist(lambda path=path: lake.put(branch, path, b"replaced before the commit"))
                insist(lambda path=path, text=text: lake.put(branch, path, text.encode()))
        made = insist(lambda: lake.commit(branch, name, metadata))
        self.say("committed", branch, made.id, edits)
        merged = insist(lambda: lake.merge(branch, "main", name, metadata, strategy="source-wins"))
        self.say("merged", name, merged.commit_id)
        self._own.append(own)
        if self.rng.random() < 0.3:
            self.tag(f"t-{name}", merged.commit_id)
        if self.rng.random() < 0.9:
            self.say("deleting", branch)
            insist(lambda: lake.delete_branch(branch))
            self.say("deleted", branch)

    def tag(self, name: str, commit_id: str) -> None:
        try:
            insist(lambda: self.lake.create_tag(name, commit_id))
        except Gone:
            return  # main has moved on, and a collection took the content
        self.say("tagged", name, commit_id)

    def share(self, number: int) -> None:
        """All workers stage on one branch, and commit what they find staged there."""
        path = f"{self.session}/{number}"
        insist(lambda: self.lake.put(SHARED, path, path.encode()))
        self.say("staged", path)
        if self.rng.random() < 0.3:
            with contextlib.suppress(NoChanges):  # another worker's commit took it
                insist(lambda: self.lake.commit(SHARED, path))

    def claim(self, number: int) -> None:
        path = f"claim/{self.rng.randrange(CLAIMS)}"
        try:
            insist(lambda: self.lake.put(SHARED, path, self.session.encode(), if_absent=True))
        except PreconditionFailed:
            return
        self.say("claimed", path, self.session)

    def discard(self, number: int) -> None:
        branch = f"w-discard-{self.session}-{number}"
        insist(lambda: self.lake.create_branch(branch, "main"))
        insist(lambda: self.lake.put(branch, "slot/0", b"never to be seen"))
        insist(lambda: self.lake.discard(branch, prefix="slot/"))
        self.say("deleting", branch)
        insist(lambda: self.lake.delete_branch(branch))

    def collect(self, number: int) -> None:
        kept = self.rng.choice([timedelta(0), timedelta(seconds=2), timedelta(days=1)])
        grace = self.rng.choice([timedelta(0), timedelta(hours=1)])
        insist(lambda: self.lake.gc(kept, grace=grace, dry_run=self.rng.random() < 0.2))


def insist(call: Callable[[], T]) -> T:
    """Repeat where another writer was in the way, as callers do."""
    for _ in range(20):
        try:
            return call()
        except Contention:
            continue
    raise AssertionError("contention without end")
