"""`trading lake diff`: which partitions changed between two commits, and which rows in them."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
import polars as pl

from trading_assets.commands.options import home_option, open_home_lake
from trading_assets.commands.tables import counted, size_text
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from resources.lake import Lake
    from resources.lake.content_diff import FileDiff
    from resources.lake.row_diff import RowDiff

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_COLOURS = {"+": "green", "-": "red", "~": "yellow", "@": "cyan"}


@click.command()
@click.argument("before")
@click.argument("after", default="")
@click.option("--dataset", default="", help="Only this dataset.")
@click.option(
    "--partition", default="", help="Only partitions with this key or value: session=2023-12-07, 2023-12-07, risk1."
)
@click.option("--prefix", default="", help="Only objects whose path begins so.")
@click.option(
    "--rows", default=5, show_default=True, type=click.IntRange(min=0), help="Rows or lines to print of each file."
)
@click.option(
    "--csv", "as_csv", is_flag=True, help="Every value that differs, one a line: path,row,change,column,old,new."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file, with up to --rows rows of each kind.")
@click.option("--paths", "only_paths", is_flag=True, help="Only which files differ; reads none of them.")
@home_option
def diff(
    before: str,
    after: str,
    dataset: str,
    partition: str,
    prefix: str,
    rows: int,
    as_csv: bool,
    as_json: bool,
    only_paths: bool,
    settings: Settings,
) -> None:
    """How AFTER differs from BEFORE, by rows. With one REF: what that commit changed (against its first parent).

    Rows are told apart by the dataset's key columns. Of a branch the committed head is taken.
    """
    if as_csv + as_json + only_paths > 1:
        raise click.UsageError("give one of --csv, --json, --paths")
    if dataset and prefix:
        raise click.UsageError("give --dataset or --prefix, not both")
    from resources.lake.content_diff import diff_files
    from trading_assets.row_keys import row_keys

    lake = open_home_lake(settings)
    left, right = _sides(lake, before, after)
    below = f"{dataset.rstrip('/')}/" if dataset else prefix

    def wanted(path: str) -> bool:
        return not partition or _is_in(path, partition)

    if only_paths:
        for change in lake.diff(left, right, mode="two_dot", prefix=below):
            if wanted(change.path):
                click.echo(f"{_SIGNS[change.type]} {change.path}")
        return
    found = diff_files(lake, left, right, keys_of=row_keys, prefix=below, wanted=wanted)
    if as_csv:
        _print_csv(found)
    elif as_json:
        for file in found:
            click.echo(json.dumps(_as_dict(file, rows)))
    else:
        _print(found, rows)


def _sides(lake: "Lake", before: str, after: str) -> tuple[str, str]:
    from resources.lake.errors import PreconditionFailed
    from resources.lake.finding import find_commit

    first = find_commit(lake, before)
    if after:
        return first.id, find_commit(lake, after).id
    if not first.parents:
        raise PreconditionFailed(
            f"{before} is the first commit of the lake: there is nothing before it to compare with"
        )
    return first.parents[0], first.id


def _is_in(path: str, partition: str) -> bool:
    """Whether the path lies in a partition with these keys (``session=2023-12-07``) or values (``2023-12-07``)."""
    parts = path.split("/")[1:-1]
    known = {*parts, *(part.partition("=")[2] for part in parts)}
    return known.issuperset(partition.strip("/").split("/"))


def _print(found: "Iterator[FileDiff]", limit: int) -> None:
    totals: Counter[str] = Counter()
    for file in found:
        totals["files"] += 1
        click.secho(f"{file.title}: {summary(file)}", bold=True)
        if file.rows is not None:
            totals.update(added=file.rows.added.height, removed=file.rows.removed.height, changed=file.rows.changed)
            for note in _notes(file.rows, file.type):
                click.echo(f"  {note}")
            _print_lines(list(sample_lines(file.rows, limit)))
        elif file.lines is not None:
            _print_lines(list(file.lines[:limit]))
    if not totals["files"]:
        click.echo("no difference")
        return
    click.echo(
        f"{counted(totals['files'], 'file')}: {totals['added']:,} rows added, {totals['removed']:,} removed, "
        f"{totals['changed']:,} changed"
    )


def _print_lines(lines: list[str]) -> None:
    for line in lines:
        click.secho(f"  {line}", fg=_COLOURS.get(line[:1]))


def summary(file: "FileDiff") -> str:
    """What became of one file: ``3 added, 1 removed, 2 changed``."""
    new = {"added": "new, ", "removed": "gone, ", "changed": ""}[file.type]
    if file.rows is not None:
        counts = [
            (file.rows.added.height, "added"),
            (file.rows.removed.height, "removed"),
            (file.rows.changed, "changed"),
        ]
        said = ", ".join(f"{count:,} {what}" for count, what in counts if count)
        if said or file.rows.columns:
            return new + (said or "no row differs in the columns of both")
        return new + ("no rows" if file.type != "changed" else "the same rows in other order or encoding")
    if file.lines is not None:
        more, fewer = (sum(line.startswith(sign) for line in file.lines) for sign in "+-")
        return f"{new}{more} lines added, {fewer} removed" if file.lines else f"{new}the same lines in other encoding"
    sides = [f"{size_text(side.size)} {side.checksum[:12]}" for side in (file.before, file.after) if side is not None]
    return new + " -> ".join(sides) + (f" ({file.note})" if file.note else "")


def sample_lines(rows: "RowDiff", limit: int) -> Iterator[str]:
    """The first ``limit`` rows that differ, changed ones first, and how many more there are."""
    from resources.lake.row_diff import as_text

    def texts(frame: pl.DataFrame, count: int) -> list[dict[str, str | None]]:
        head = frame.head(count)
        return pl.DataFrame([as_text(head[name]).alias(name) for name in head.columns]).to_dicts()

    left = limit
    compared = rows.compared_columns()
    for old, new in zip(texts(rows.changed_before, left), texts(rows.changed_after, left), strict=True):
        named = " ".join(f"{name}={new[name]}" for name in rows.key)
        moved = ", ".join(f"{name} {old[name]} -> {new[name]}" for name in compared if old[name] != new[name])
        yield f"~ {named}: {moved}"
    for frame, sign in ((rows.removed, "-"), (rows.added, "+")):
        left = max(0, limit - rows.changed - (rows.removed.height if sign == "+" else 0))
        yield from (
            f"{sign} " + " ".join(f"{name}={value}" for name, value in row.items()) for row in texts(frame, left)
        )
    more = rows.changed + rows.removed.height + rows.added.height - limit
    if limit and more > 0:
        yield f"... and {counted(more, 'row')} more"


def _notes(rows: "RowDiff", change: str) -> Iterator[str]:
    yield from (str(column) for column in rows.columns)
    if rows.repeated_keys:
        yield f"{counted(rows.repeated_keys, 'key')} more than once: their rows are compared whole, as added and removed"
    if rows.whole_rows_because and change == "changed":
        yield f"whole rows are compared, as added and removed: {rows.whole_rows_because}"


def _print_csv(found: "Iterator[FileDiff]") -> None:
    click.echo("path,row,change,column,old,new")
    for file in found:
        if file.rows is not None:
            cells = file.rows.cells().select(pl.lit(file.path).alias("path"), pl.all())
        else:
            sides = [None if side is None else side.checksum for side in (file.before, file.after)]
            cells = pl.DataFrame(
                {
                    "path": [file.path],
                    "row": [""],
                    "change": [file.type],
                    "column": ["checksum"],
                    "old": sides[:1],
                    "new": sides[1:],
                }
            )
        click.echo(cells.write_csv(include_header=False), nl=False)


def _as_dict(file: "FileDiff", limit: int) -> dict[str, Any]:
    content: dict[str, Any] = {"path": file.path, "type": file.type}
    for side, info in (("before", file.before), ("after", file.after)):
        content[side] = None if info is None else {"size": info.size, "checksum": info.checksum}
    if file.note:
        content["note"] = file.note
    if file.lines is not None:
        content["lines"] = list(file.lines[:limit])
    if file.rows is not None:
        content["rows"] = _rows_as_dict(file.rows, limit)
    return content


def _rows_as_dict(rows: "RowDiff", limit: int) -> dict[str, Any]:
    compared = rows.compared_columns()
    pairs = zip(_plain(rows.changed_before, limit), _plain(rows.changed_after, limit), strict=True)
    return {
        "key": list(rows.key),
        "counts": {"added": rows.added.height, "removed": rows.removed.height, "changed": rows.changed},
        "columns": [str(column) for column in rows.columns],
        "repeated_keys": rows.repeated_keys,
        "whole_rows_because": rows.whole_rows_because,
        "added": _plain(rows.added, limit),
        "removed": _plain(rows.removed, limit),
        "changed": [
            {
                "key": {name: new[name] for name in rows.key},
                "values": {name: {"old": old[name], "new": new[name]} for name in compared if old[name] != new[name]},
            }
            for old, new in pairs
        ],
    }


def _plain(frame: pl.DataFrame, limit: int) -> list[dict[str, Any]]:
    """The first rows as JSON has them: numbers as numbers, instants and the like as text, NaN as null."""
    rows: list[dict[str, Any]] = json.loads(frame.head(limit).write_json()) if frame.columns else []
    return rows
