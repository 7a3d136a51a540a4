"""The tables, as text for a terminal and as Markdown for the documentation."""

from collections.abc import Sequence

from benchmarks.lake.claims import Claim
from benchmarks.lake.results import OURS, Figure, Results

GUARANTEES = (
    ("", "lake", "plain files", "git", "DVC", "Delta"),
    ("many files change at once, or none", "yes, over all datasets", "no", "yes", "yes (1)", "yes, within one table"),
    ("on the disk when the call returns", "yes", "yes", "yes (2)", "no (3)", "no (3)"),
    ("judged before others can read it", "yes, in the same call", "no", "in a tree beside", "in a tree beside", "no"),
    ("earlier states", "every commit", "no", "every commit", "while its cache is kept", "until vacuum"),
    ("content named by its hash", "SHA-256", "no", "SHA-1", "MD5", "no"),
)
NOTES = """\
1. What is committed are the `.dvc` files. Files in the working tree change one by one.
2. With `core.fsync=all`, which is not its default.
3. It makes no fsync of the data at all; rows that say "on the disk" add one of each file and directory that it wrote."""


def as_markdown(results: Results, claims: Sequence[Claim], machine: str) -> str:
    parts = [
        machine,
        "",
        "### What is claimed",
        "",
        *_claims(claims),
        "",
        "### Against peers",
        "",
        *_table(results),
        "",
    ]
    return "\n".join([*parts, *_ways(results), "", "### What each of them gives", "", *_guarantees(), "", NOTES])


def as_text(results: Results, claims: Sequence[Claim], machine: str) -> str:
    """The same tables with their columns aligned."""
    tables = [_aligned(_claims(claims)), _aligned(_table(results)), "\n".join(_ways(results))]
    return "\n\n".join([machine, *(table for table in tables if table)])


def _claims(claims: Sequence[Claim]) -> list[str]:
    lines = ["| claim | limit | measured | |", "|---|---|---|---|"]
    return lines + [f"| {c.claim} | {c.limit_text} | {c.found} | {'met' if c.holds else 'NOT MET'} |" for c in claims]


def _table(results: Results) -> list[str]:
    columns = results.columns()
    lines = [f"| median, ms | {' | '.join(columns)} |", f"|---{'|--:' * len(columns)}|"]
    for title in results.titles():
        ours = results.best(title, OURS)
        figures = [results.best(title, column) for column in columns]
        rounds = max(figure.rounds for figure in figures if figure)
        cells = [_cell(figure, ours) for figure in figures]
        lines.append(f"| {title} (n={rounds}) | {' | '.join(cells)} |")
    return lines


def _cell(figure: Figure | None, ours: Figure | None) -> str:
    if figure is None:
        return "–"
    text = ("≥ " if figure.at_least else "") + _number(figure.milliseconds)
    if ours is None or figure is ours:
        return text
    return f"{text} ({_number(figure.milliseconds / ours.milliseconds, digits=2)}x)"


def _number(value: float, digits: int = 3) -> str:
    """At least so many significant digits, and no exponent."""
    return f"{value:,.0f}" if value >= 10 ** (digits - 1) else f"{value:#.{digits}g}"


def _ways(results: Results) -> list[str]:
    """Every way of a product that was measured in several."""
    return [
        f"- {column}, {title}: "
        + "; ".join(
            f"{figure.way} {'≥ ' if figure.at_least else ''}{_number(figure.milliseconds)} ms (n={figure.rounds})"
            for figure in sorted(figures, key=lambda figure: figure.milliseconds)
        )
        for title, column, figures in results.several_ways()
    ]


def _guarantees() -> list[str]:
    head, *rows = [f"| {' | '.join(cells)} |" for cells in GUARANTEES]
    return [head, f"|{'---|' * len(GUARANTEES[0])}", *rows]


def _aligned(table: Sequence[str]) -> str:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table if not line.startswith("|---")]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
