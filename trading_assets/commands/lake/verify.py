"""`trading lake verify`: is every byte what it was, and if not, what does it touch and what is to be done."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from trading_assets.commands.lake.log import SHORT_ID
from trading_assets.commands.options import home_option, open_home_lake
from trading_assets.commands.progress_bar import progress_bar
from trading_assets.commands.tables import aligned, counted
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from resources.lake.embedded import Problem

_SHOWN = 6


@click.command()
@home_option
def verify(settings: Settings) -> None:
    """Read every object and record and compare each with its hash; status 1 where one is damaged or missing.

    Of a lakeFS server: every object that a branch or tag reaches.
    """
    from resources.lake.upkeep import Maintainable, verify_contents

    lake = open_home_lake(settings)
    found = 0
    own = isinstance(lake, Maintainable)
    with progress_bar("reading every object") as progress:
        for problem in lake.verify() if isinstance(lake, Maintainable) else verify_contents(lake, progress):
            found += 1
            click.echo("\n".join(_lines(problem, own=own)))
    if found:
        click.secho(f"{counted(found, 'problem')} found", fg="red")
        sys.exit(1)
    click.echo("every object is there and has its hash")


def _lines(problem: "Problem", *, own: bool) -> Iterator[str]:
    """What is damaged, what it touches, what to do. ``own``: the files lie in the lake's own folder."""
    yield click.style(f"{problem.kind} {problem.name}: {problem.detail}", fg="red")
    said = [(dataset, _listed(partitions)) for dataset, partitions in _by_dataset(problem.paths).items()]
    if own and problem.kind == "object":
        said.append(("file", f"objects/{problem.name[:2]}/{problem.name} in the lake's folder"))
    if problem.commits:
        first, last = problem.commits[0][:SHORT_ID], problem.commits[-1][:SHORT_ID]
        span = first if first == last else f"from {first} to {last}"
        said.append(("commits", f"{counted(len(problem.commits), 'commit')}, {span}"))
    if problem.refs:
        said.append(("refs", _refs_text(problem.refs)))
    elif problem.commits:
        said.append(("refs", "none: no branch and no tag stands on one of these commits"))
    said.append(("do", problem.remedy))
    yield from aligned(said, indent="  ")


def _by_dataset(paths: Sequence[str]) -> dict[str, list[str]]:
    """Partitions by dataset, with the file where it is not the data file."""
    found: dict[str, list[str]] = {}
    for path in paths:
        dataset, _, rest = path.partition("/")
        found.setdefault(dataset, []).append(rest.removesuffix("/data.parquet"))
    return found


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _refs_text(refs: Sequence[str]) -> str:
    """Branches and tags by name, main first; where there are many, how many of each kind."""
    names = sorted(refs, key=lambda name: (name != "main", name))
    kinds = Counter(name.partition("-")[0] for name in names if "-" in name)
    counts = ", ".join(f"{count} {kind}-..." for kind, count in sorted(kinds.items()))
    return _listed(names) + (f" ({counts})" if len(names) > _SHOWN else "")
