"""`trading lake show`: a commit, what it holds, a file of it, or what was refused."""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
import polars as pl

from trading_assets.commands.lake.log import long_lines
from trading_assets.commands.lake.quarantine import refusal_lines
from trading_assets.commands.options import home_option, open_home_lake
from trading_assets.commands.tables import aligned, counted, print_frame, size_text
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from resources.lake import Commit, Lake, ObjectInfo

_REFS_SHOWN = 8


@click.command()
@click.argument("ref")
@click.argument("path", default="")
@click.option(
    "--rows", default=20, show_default=True, type=click.IntRange(min=0), help="Rows to print of a Parquet file."
)
@click.option("--csv", "as_csv", is_flag=True, help="All rows of a Parquet file as comma-separated values.")
@home_option
def show(ref: str, path: str, rows: int, as_csv: bool, settings: Settings) -> None:
    """What is at REF (branch, tag, quarantine-..., commit), or the object or folder PATH at it."""
    from resources.lake.finding import find_commit, find_object
    from resources.lake.publish import QUARANTINE_PREFIX

    lake = open_home_lake(settings)
    commit = find_commit(lake, ref)
    if path:
        if entries := list(_entries(lake, ref, path.rstrip("/") + "/")):
            if as_csv:
                raise click.UsageError(f"{path} is a folder; --csv is for a Parquet file in it")
            click.echo("\n".join(aligned(entries, right={1})))
        else:
            _print_object(lake, ref, find_object(lake, ref, path), rows, as_csv)
    elif ref.startswith(QUARANTINE_PREFIX):
        from resources.lake.quarantine import refusal

        click.echo("\n".join(refusal_lines(lake, refusal(lake, ref), settings)))
    else:
        click.echo("\n".join(_commit_lines(lake, commit)))


def _commit_lines(lake: "Lake", commit: "Commit") -> Iterator[str]:
    from resources.lake.upkeep import heads, refs_at

    yield from long_lines(commit)
    if names := refs_at([commit.id], heads(lake)):
        more = f" and {len(names) - _REFS_SHOWN} more" if len(names) > _REFS_SHOWN else ""
        yield f"  refs  {' '.join(names[:_REFS_SHOWN])}{more}"
    datasets = _datasets(lake, commit)
    if not datasets:
        yield "it holds nothing"
        return
    yield "it holds"
    yield from aligned(
        [("dataset", "partitions", "files", "size", "first and last partition"), *datasets],
        right={1, 2, 3},
        indent="  ",
    )


def _datasets(lake: "Lake", commit: "Commit") -> list[tuple[str, str, str, str, str]]:
    from resources.lake import ObjectInfo

    objects = [item for item in lake.list(commit.id) if isinstance(item, ObjectInfo)]
    by_dataset: dict[str, list[ObjectInfo]] = {}
    for item in objects:
        by_dataset.setdefault(item.path.partition("/")[0], []).append(item)
    found = []
    for dataset, items in by_dataset.items():
        partitions = sorted({item.path.rpartition("/")[0].partition("/")[2] for item in items} - {""})
        span = " to ".join(dict.fromkeys((partitions[0], partitions[-1]))) if partitions else ""
        size = size_text(sum(item.size for item in items))
        found.append((dataset, f"{len(partitions):,}", f"{len(items):,}", size, span))
    return found


def _entries(lake: "Lake", ref: str, folder: str) -> Iterator[tuple[str, str, str]]:
    """Path, size and checksum of what lies directly in a folder."""
    from resources.lake import ObjectInfo

    for entry in lake.list(ref, folder, delimiter="/"):
        if isinstance(entry, ObjectInfo):
            yield entry.path, size_text(entry.size), entry.checksum[:16]
        else:
            yield entry.path, "", ""


def _print_object(lake: "Lake", ref: str, info: "ObjectInfo", rows: int, as_csv: bool) -> None:
    from resources.lake.errors import CorruptObject

    content = lake.get(ref, info.path)
    if not info.path.endswith(".parquet"):
        if as_csv:
            raise click.UsageError(f"{info.path} is no Parquet file; it is printed as it is without --csv")
        if b"\0" in content:
            click.echo(f"{info.path}: {size_text(info.size)}, no text, checksum {info.checksum}")
        else:
            click.echo(content.decode("utf-8", "replace"))
        return
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except pl.exceptions.PolarsError as error:
        raise CorruptObject(f"{ref}/{info.path}: is no Parquet file: {error}") from None
    if as_csv:
        print_frame(frame, rows=rows, as_csv=True)
        return
    click.echo(f"{info.path}: {counted(frame.height, 'row')}, {size_text(info.size)}, checksum {info.checksum[:16]}")
    click.echo("\n".join(aligned([(name, _type_text(dtype)) for name, dtype in frame.schema.items()], indent="  ")))
    if rows:
        print_frame(frame.head(rows), rows=rows)
    if 0 < rows < frame.height:
        click.echo(f"the first {rows} of {counted(frame.height, 'row')}; --rows N shows more, --csv all")


def _type_text(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Datetime):
        return f"Datetime[{dtype.time_unit}, {dtype.time_zone or 'no time zone'}]"
    return str(dtype)
