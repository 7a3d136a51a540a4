"""Tables on the command line: frames as wide as the terminal, lines in columns, sizes a person can read."""

import shutil
import sys
from collections.abc import Collection, Iterator, Sequence

import click
import polars as pl

_WIDTH_OF_FILES = 220  # characters, where the output is no terminal
_UNITS = ("KB", "MB", "GB", "TB")


def print_frame(frame: pl.DataFrame, *, rows: int, as_csv: bool = False) -> None:
    """Print at most ``rows`` rows as a table, or all as CSV with nested values as JSON."""
    if as_csv:
        click.echo(_flat(frame).write_csv(), nl=False)
        return
    with pl.Config(
        tbl_rows=rows,
        tbl_cols=-1,
        tbl_width_chars=shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH_OF_FILES,
        fmt_str_lengths=60,
    ):
        click.echo(frame)


def aligned(rows: Sequence[Sequence[str]], *, right: Collection[int] = (), indent: str = "") -> Iterator[str]:
    """Lines with their cells below each other, two spaces between; columns in ``right`` are set to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield (indent + "  ".join(cells)).rstrip()


def size_text(size: int) -> str:
    """``size`` bytes as a person reads them: ``812 bytes``, ``45.1 KB``, ``2.3 GB``."""
    if size < 1000:
        return f"{size} byte{'' if size == 1 else 's'}"
    power = next((power for power in range(1, len(_UNITS)) if size < 999.95 * 1000**power), len(_UNITS))
    return f"{size / 1000**power:.1f} {_UNITS[power - 1]}"


def counted(count: int, noun: str) -> str:
    """``1 row``, ``3,120 rows``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    from resources.lake.row_diff import as_text

    return frame.with_columns(
        as_text(frame[name]).alias(name) for name, dtype in frame.schema.items() if dtype.is_nested()
    )
