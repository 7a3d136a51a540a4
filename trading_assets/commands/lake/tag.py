"""`trading lake tag`: pin commits, list the pins, remove one."""

import sys
from typing import TYPE_CHECKING

import click

from trading_assets.commands.options import home_option, open_home_lake
from trading_assets.commands.tables import aligned
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from resources.lake import Lake

_LOST = {
    "decision-": "the state of the data that a promotion decision was made on",
    "batch-": "the state of the data that orders were sent from",
    "lineage-": "what `trading explain` follows from an order or a decision back to the raw files",
}


@click.command()
@click.argument("name", default="")
@click.argument("ref", default="main@")
@click.option("--list", "listing", is_flag=True, help="List the tags whose name begins with NAME; all without one.")
@click.option("--delete", is_flag=True, help="Remove the tag NAME.")
@click.option("--force", is_flag=True, help="With --delete: also a tag that decisions or orders rest on.")
@home_option
def tag(name: str, ref: str, listing: bool, delete: bool, force: bool, settings: Settings) -> None:
    """Pin the commit of REF under NAME; a tagged commit is never removed."""
    if listing and delete:
        raise click.UsageError("give --list or --delete, not both")
    if force and not delete:
        raise click.UsageError("--force goes with --delete")
    if not name and not listing:
        raise click.UsageError("give the NAME of the tag, or --list")
    lake = open_home_lake(settings)
    if listing:
        _print_tags(lake, name)
    elif delete:
        _delete(lake, name, force)
    else:
        from resources.lake.finding import find_commit

        click.echo(f"{name} -> {lake.create_tag(name, find_commit(lake, ref).id)}")


def _print_tags(lake: "Lake", prefix: str) -> None:
    found = lake.list_tags(prefix)
    if not found:
        click.echo(f"no tag{f' begins with {prefix!r}' if prefix else ''}", err=True)
        return
    commits = {commit_id: lake.get_commit(commit_id) for commit_id in found.values()}
    rows = [
        (
            name,
            commit_id[:12],
            f"{commits[commit_id].created:%Y-%m-%d %H:%M:%S}Z",
            commits[commit_id].message.splitlines()[0],
        )
        for name, commit_id in found.items()
    ]
    for line in aligned(rows):
        click.echo(line)


def _delete(lake: "Lake", name: str, force: bool) -> None:
    from resources.lake.errors import RefNotFound
    from resources.lake.finding import near_names

    tags = lake.list_tags(name)
    if name not in tags:
        near = near_names(name, lake.list_tags())
        raise RefNotFound(f"no tag {name!r}" + (f". Did you mean {' or '.join(near)}?" if near else ""))
    lost = next((what for prefix, what in _LOST.items() if name.startswith(prefix)), None)
    if lost and not force:
        click.secho(
            f"error: tag {name} keeps {lost}: commit {tags[name]}. Without it the next `trading lake gc` may remove that for "
            "good. Give --force if that is meant",
            fg="red",
            err=True,
        )
        sys.exit(1)
    lake.delete_tag(name)
    click.echo(f"tag {name} removed; it pointed to commit {tags[name]}")
