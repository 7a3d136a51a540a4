"""The tables, as text for a terminal and as Markdown for the documentation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.lake.claims import Claim
from benchmarks.replay.comparison import Measured
from benchmarks.replay.ways import ENGINES, OURS, SIMPLIFIED

LEAST_ADVANTAGE = 8.0
LEAST_ADVANTAGE_SWEPT = 30.0
MOST_MEMORY = 2.0
MOST_COLD = 1.0


@dataclass(frozen=True)
class Table:
    """What the ways took for one work.

    Attributes:
        units: bars, in a sweep bars times sets.
    """

    title: str
    units: int
    found: Mapping[str, Measured]


def claims(tables: Mapping[str, Table]) -> list[Claim]:
    """What is claimed of the works ``brackets`` and ``sweep``, as far as they were measured."""
    made = []
    single, swept = tables.get("brackets"), tables.get("sweep")
    if single is not None:
        made += _faster(
            "replay(), frames in and frames out, against the fastest engine of vectorbt", single, LEAST_ADVANTAGE
        )
        made += _memory("memory of replay(), bars and signals included, against these", single)
        ours = single.found.get(OURS)
        if ours is not None:
            cold = median(ours.cold)
            told = f"{cold:.2f} s"
            made.append(Claim("first small replay() of a process, its imports counted", told, cold, MOST_COLD, "1 s"))
    if swept is not None:
        made += _faster("replay_sweep() against the fastest engine of vectorbt", swept, LEAST_ADVANTAGE_SWEPT)
        made += _memory("memory of replay_sweep(), bars and the signals of all sets included, against these", swept)
    return made


def _faster(claim: str, table: Table, least: float) -> list[Claim]:
    peers = {way: table.found[way].typical for way in ENGINES if way in table.found}
    if not peers or OURS not in table.found:
        return []
    fastest = min(peers, key=lambda way: peers[way])
    ours = table.found[OURS].typical
    ratio = peers[fastest] / ours
    told = f"{_time(ours)} against {_time(peers[fastest])} ({fastest}), {ratio:.1f} times as fast"
    return [Claim(claim, told, 1 / ratio, 1 / least, f"{least:.0f} times as fast")]


def _memory(claim: str, table: Table) -> list[Claim]:
    ours = table.found.get(OURS)
    if ours is None:
        return []
    used = max(ours.used_bytes) / ours.input_bytes
    told = f"{max(ours.used_bytes) / 1e6:,.0f} MB for {ours.input_bytes / 1e6:,.0f} MB, {used:.1f} times"
    return [Claim(claim, told, used, MOST_MEMORY, "2 times")]


def as_markdown(machine: str, tables: Mapping[str, Table], claimed: Sequence[Claim]) -> str:
    parts = [
        machine,
        "",
        "### What is claimed of the replay",
        "",
        "| claim | limit | measured | |",
        "|---|---|---|---|",
    ]
    parts += [f"| {c.claim} | {c.limit_text} | {c.found} | {'met' if c.holds else 'NOT MET'} |" for c in claimed]
    for table in tables.values():
        parts += ["", f"### {table.title}", "", *_rows(table)]
    ways = dict.fromkeys(way for table in tables.values() for way in table.found)
    parts += ["", "### What each peer leaves out or does otherwise", "", "| way | otherwise |", "|---|---|"]
    parts += [f"| {way} | {SIMPLIFIED[way]} |" for way in ways if way in SIMPLIFIED]
    return "\n".join(parts)


def _rows(table: Table) -> list[str]:
    lines = [
        "| way | time | ns a bar | ratio | processor time | peak memory | trades |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    ours = table.found[OURS].typical if OURS in table.found else None
    for way, measured in table.found.items():
        ratio = "" if ours is None or way == OURS else f"{measured.typical / ours:.1f}x"
        cells = (
            f"{way} (n={len(measured.seconds)})",
            _time(measured.typical),
            f"{1e9 * measured.typical / table.units:,.1f}",
            ratio,
            _time(median(measured.cpu_seconds)),
            f"{max(measured.peak_bytes) / 1e6:,.0f} MB",
            f"{measured.trades:,}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.1f} ms"
