"""A small embedded store with something of everything, what it shows, and ways past the lake to its database."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from resources.lake import LakeError, open_lake
from resources.lake.embedded import EmbeddedLake, Problem
from resources.lake.embedded.schema import define_seal


class Time:
    def __init__(self) -> None:
        self.now = datetime(2024, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def opened(directory: Path) -> EmbeddedLake:
    lake = open_lake(directory.as_uri())
    assert isinstance(lake, EmbeddedLake)
    return lake


def fill(lake: EmbeddedLake, time: Time) -> None:
    """Commits with content and without, merges, tags, what is staged, what was removed."""
    for number in range(8):
        branch = f"wap-{number}"
        lake.create_branch(branch, "main")
        for session in range(20):
            path = f"bars/session={session + 8 * number:03d}/data.parquet"
            lake.put(branch, path, f"content {session} {number}".encode(), metadata={"rows": str(session)})
        lake.delete(branch, f"bars/session={8 * number:03d}/data.parquet")
        lake.commit(branch, f"commit {number}", {"run_id": f"run {number}"})
        lake.merge(branch, "main", f"merge {number}", {"run_id": f"run {number}"})
        if number % 3 == 1:
            lake.create_tag(f"order-batch-{number}", "main")
        if number % 2:
            lake.delete_branch(branch)
        time.now += timedelta(days=10)
    lake.gc(timedelta(days=45), grace=timedelta(0))
    lake.create_branch("dev", "main")
    lake.put("dev", "staged/new", b"staged", metadata={"by": "hand"})
    lake.put("dev", "bars/session=060/data.parquet", b"staged over")
    lake.delete("dev", "bars/session=061/data.parquet")


def make(directory: Path) -> None:
    """A closed store, all of it in its files."""
    time = Time()
    lake = open_lake(directory.as_uri(), clock=time)
    assert isinstance(lake, EmbeddedLake)
    with lake:
        fill(lake, time)
    assert {path.name for path in directory.iterdir()} == {"lake.db", "objects", "tmp"}


def outcome(read: Callable[[], Any]) -> Any:
    """What a call gives, or which of the lake's errors."""
    try:
        return read()
    except LakeError as error:
        return type(error).__name__


def dump(lake: EmbeddedLake) -> dict[str, Any]:
    """Everything that can be read, content by its checksum."""
    branches, tags = lake.list_branches(), lake.list_tags()
    heads = [*branches, *tags, *(f"{name}@" for name in branches)]
    commits = {commit.id: commit for head in heads for commit in lake.log(head)}
    seen: dict[str, Any] = {"branches": branches, "tags": tags, "commits": commits}
    for ref in [*heads, *commits]:
        seen[f"list {ref}"] = outcome(lambda ref=ref: list(lake.list(ref)))
    for head in heads:
        seen[f"log {head}"] = [commit.id for commit in lake.log(head)]
        seen[f"first {head}"] = [commit.id for commit in lake.log(head, first_parent=True)]
        path = "bars/session=060/data.parquet"
        seen[f"path {head}"] = [commit.id for commit in lake.log(head, path=path)]
        seen[f"first path {head}"] = [commit.id for commit in lake.log(head, path=path, first_parent=True)]
    for name in branches:
        seen[f"uncommitted {name}"] = list(lake.uncommitted(name))
    return seen


def read_all(directory: Path) -> dict[str, Any] | str:
    """The dump, or how reading failed: damage may show as any of the lake's errors."""
    try:
        with opened(directory) as lake:
            return dump(lake)
    except LakeError as error:
        return f"{type(error).__name__}: {error}"


def problems(directory: Path) -> list[Problem] | str:
    try:
        with opened(directory) as lake:
            return list(lake.verify())
    except LakeError as error:
        return f"{type(error).__name__}: {error}"


def live_commits(lake: EmbeddedLake) -> list[str]:
    """Ids of the commits whose content is kept."""
    found = {commit.id for head in [*lake.list_branches(), *lake.list_tags()] for commit in lake.log(head)}
    return [commit for commit in found if not isinstance(outcome(lambda c=commit: list(lake.list(c))), str)]


def run(store: Path, statement: str, *values: Any) -> list[Any]:
    """Past the lake: on its database."""
    with sqlite3.connect(store / "lake.db") as sql:
        define_seal(sql)
        rows = sql.execute(statement, values).fetchall()
    sql.close()
    return rows


def run_unseen(store: Path, statement: str, *values: Any) -> None:
    """Past the lake and past the triggers which count, as a damaged page would have it."""
    triggers = run(store, "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
    for name, _ in triggers:
        run(store, f"DROP TRIGGER {name}")
    run(store, statement, *values)
    for _, text in triggers:
        run(store, text)
