"""The tables, as text for a terminal and as Markdown for the documentation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.bars.resampling import Measured, typical
from benchmarks.bars.ways import DUCKDB, DYNAMIC, OURS, PANDAS, READING
from benchmarks.lake.claims import Claim

LEAST_ADVANTAGE = 2.0
MOST_OVER_READING = 3.0
MOST_MEMORY = 2e9
MOST_OWN_COST = 0.5


@dataclass(frozen=True, slots=True)
class Backfill:
    """What a backfill took, and what of it is not the platform's own computing.

    Attributes:
        bare, platform: seconds by the clock, seconds of processor time, peak bytes.
        events, event_seconds, event_cpu_seconds: Dagster's own bookkeeping inside ``platform``.
    """

    bare: tuple[float, float, float]
    platform: tuple[float, float, float]
    partitions: int
    events: int
    event_seconds: float
    event_cpu_seconds: float

    @property
    def own_cost(self) -> float:
        """Processor time of publish, checks and metadata, as a share of the bare computation's."""
        return (self.platform[1] - self.event_cpu_seconds - self.bare[1]) / self.bare[1]


def claims(found: Mapping[str, Measured], backfill: Backfill | None) -> list[Claim]:
    made = []
    if OURS in found:
        ours, _, peak = typical(found[OURS])
        peers = {way: typical(found[way])[0] for way in (DUCKDB, DYNAMIC, PANDAS) if way in found}
        if peers:
            fastest = min(peers, key=lambda way: peers[way])
            ratio = peers[fastest] / ours
            told = f"{ours:.1f} s against {peers[fastest]:.1f} s, {ratio:.1f} times as fast"
            made.append(
                Claim(
                    f"M1 to M5 against the usual ways, the fastest of them ({fastest})",
                    told,
                    1 / ratio,
                    1 / LEAST_ADVANTAGE,
                    "2 times as fast",
                )
            )
        if READING in found:
            reading = typical(found[READING])[0]
            told = f"{ours:.1f} s against {reading:.1f} s, {ours / reading:.1f} times"
            made.append(Claim("M1 to M5 against reading alone", told, ours / reading, MOST_OVER_READING, "3 times"))
        made.append(Claim("peak memory of M1 to M5", f"{peak / 1e6:,.0f} MB", peak, MOST_MEMORY, "2 GB"))
    if backfill is not None:
        told = (
            f"{backfill.platform[1] - backfill.event_cpu_seconds:.0f} s of processor time against {backfill.bare[1]:.0f} s, "
            f"{backfill.own_cost:.2f} times more"
        )
        made.append(
            Claim(
                "publish, checks and metadata of a backfill, over the bare computation",
                told,
                backfill.own_cost,
                MOST_OWN_COST,
                "0.5 times more",
            )
        )
    return made


def as_markdown(
    machine: str, rows: int, found: Mapping[str, Measured], backfill: Backfill | None, claimed: Sequence[Claim]
) -> str:
    parts = [machine, "", "### What is claimed of bars", "", *_claims(claimed)]
    if found:
        parts += ["", f"### M1 to M5, {rows:,} minutes", "", *_ways(rows, found)]
    if backfill is not None:
        parts += ["", "### A backfill from package files", "", *_backfill(backfill)]
    return "\n".join(parts)


def _claims(claimed: Sequence[Claim]) -> list[str]:
    lines = ["| claim | limit | measured | |", "|---|---|---|---|"]
    return lines + [f"| {c.claim} | {c.limit_text} | {c.found} | {'met' if c.holds else 'NOT MET'} |" for c in claimed]


def _ways(rows: int, found: Mapping[str, Measured]) -> list[str]:
    lines = ["| way | seconds | ratio | rows/s | processor seconds | peak memory |", "|---|--:|--:|--:|--:|--:|"]
    ours = typical(found[OURS])[0] if OURS in found else None
    for way, measured in found.items():
        seconds, cpu, peak = typical(measured)
        ratio = "" if ours is None or way == OURS else f"{seconds / ours:.2f}x"
        name = f"{way} (n={len(measured.seconds)})"
        lines.append(f"| {name} | {seconds:.1f} | {ratio} | {rows / seconds:,.0f} | {cpu:.1f} | {peak / 1e6:,.0f} MB |")
    return lines


def _backfill(backfill: Backfill) -> list[str]:
    per_event, cpu_per_event = (
        1e3 * seconds / max(backfill.events, 1) for seconds in (backfill.event_seconds, backfill.event_cpu_seconds)
    )
    lines = ["| | seconds | processor seconds | peak memory |", "|---|--:|--:|--:|"]
    for name, (seconds, cpu, peak) in (("bare computation", backfill.bare), ("backfill", backfill.platform)):
        lines.append(f"| {name} | {seconds:.1f} | {cpu:.1f} | {peak / 1e6:,.0f} MB |")
    lines.append(f"| of it Dagster's event log | {backfill.event_seconds:.1f} | {backfill.event_cpu_seconds:.1f} | |")
    return [
        *lines,
        "",
        f"{backfill.partitions:,} partitions were published; Dagster stored {backfill.events:,} events, {per_event:.1f} ms "
        f"each, {cpu_per_event:.1f} ms of it processor time.",
    ]
