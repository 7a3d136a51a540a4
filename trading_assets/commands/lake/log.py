"""`trading lake log`: what was published, when, by which run."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from trading_assets.commands.options import home_option, open_home_lake
from trading_assets.commands.tables import aligned, counted
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from resources.lake import Commit, Lake

SHORT_ID = 12


@click.command()
@click.argument("ref", default="main")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Commits to print.")
@click.option("--path", help="Only commits that changed this object.")
@click.option("--dataset", help="Only commits that published a partition of this dataset.")
@click.option("--long", "as_long", is_flag=True, help="With parents and all metadata.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@home_option
def log(
    ref: str, limit: int, path: str | None, dataset: str | None, as_long: bool, as_json: bool, settings: Settings
) -> None:
    """Commits from REF back, newest first: id, time, what was published, rows, run."""
    lake = open_home_lake(settings)
    commits = list(islice(_commits(lake, ref, limit, path, dataset), limit))
    if not commits:
        _say_nothing_found(lake, ref, path, dataset)
    if as_json:
        for commit in commits:
            click.echo(json.dumps(as_dict(commit)))
    elif as_long:
        click.echo("\n\n".join("\n".join(long_lines(commit)) for commit in commits))
    elif commits:
        for line in aligned([_cells(commit) for commit in commits], right={3}):
            click.echo(line)


def as_dict(commit: "Commit") -> dict[str, Any]:
    """A commit as JSON has it; metadata as it was given, so values that are JSON themselves stay text."""
    return {
        "id": commit.id,
        "created": commit.created.isoformat(),
        "message": commit.message,
        "parents": list(commit.parents),
        "metadata": dict(commit.metadata),
    }


def long_lines(commit: "Commit") -> Iterator[str]:
    """A commit with everything it says of itself."""
    yield f"commit {commit.id}"
    yield f"{commit.created:%Y-%m-%d %H:%M:%S}Z  {commit.message}"
    said = [("parents", " ".join(parent[:SHORT_ID] for parent in commit.parents) or "none, it is the first")]
    said += [(name, value) for name, value in sorted(commit.metadata.items()) if name not in ("inputs", "refused")]
    yield from aligned(said, indent="  ")
    if reason := commit.metadata.get("refused"):
        yield "  refused"
        yield from (f"    {line}" for line in reason.splitlines())
    if inputs := json.loads(commit.metadata.get("inputs", "{}")):
        yield "  inputs"
        yield from aligned([(name, f"at {commit_id[:SHORT_ID]}") for name, commit_id in inputs.items()], indent="    ")


def where(commit: "Commit") -> str:
    """Dataset and partition that a commit published; "" for any other commit."""
    dataset, partition = commit.metadata.get("asset_key", ""), commit.metadata.get("partition", "")
    return f"{dataset}/{partition}" if partition else dataset


def _commits(lake: "Lake", ref: str, limit: int, path: str | None, dataset: str | None) -> "Iterator[Commit]":
    from resources.lake.finding import find_commit

    find_commit(lake, ref)
    found = lake.log(ref, limit=None if dataset else limit, first_parent=True, path=path)
    return (commit for commit in found if dataset in (None, commit.metadata.get("asset_key")))


def _cells(commit: "Commit") -> tuple[str, ...]:
    rows = sum(json.loads(commit.metadata.get("rows", "{}")).values())
    run = commit.metadata.get("run_id", "")
    return (
        commit.id[:SHORT_ID],
        f"{commit.created:%Y-%m-%d %H:%M:%S}Z",
        where(commit) or commit.message.splitlines()[0],
        counted(rows, "row") if "rows" in commit.metadata else "",
        f"run {run[:8]}{' REFUSED' if 'refused' in commit.metadata else ''}" if run else "",
    )


def _say_nothing_found(lake: "Lake", ref: str, path: str | None, dataset: str | None) -> None:
    """Raises ObjectNotFound for a path or dataset that was never there, with what is much like it."""
    from resources.lake.errors import ObjectNotFound
    from resources.lake.finding import find_object

    if path is not None:
        find_object(lake, ref, path)
    elif dataset is not None:
        there = sorted(entry.path.rstrip("/") for entry in lake.list(ref, delimiter="/"))
        raise ObjectNotFound(f"no commit of dataset {dataset!r} up to {ref}; there are {', '.join(there) or 'none'}")
