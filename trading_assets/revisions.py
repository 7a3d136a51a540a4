"""Bars that were delivered again with other values: which rows differ, what brought them, and the alert."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from resources.configurable import ClockResource, LakeResource, LedgerResource
from trading_assets.code_version import platform_version
from trading_assets.dataset import dataset
from trading_assets.history import History
from trading_assets.materialise import Materialised, Produce, Skipped, materialise_partitions
from trading_assets.old_bars import MINUTES, bars_of, confirmations, users_of_old_bars
from trading_assets.publications import contract_audit, materialised

if TYPE_CHECKING:
    from resources.lake import Commit, Lake
    from resources.lake.reading import Snapshot
    from resources.lake.revisions import Version

DATASET = "bar_revisions"
OVERVIEW_FILE = "revisions.parquet"
UNREVISED_CHECK = "unrevised"

OVERVIEW: Mapping[str, Any] = {
    "session": pl.Date,
    "revision": pl.Int32,
    "revised_at": pl.Datetime("us", "UTC"),
    "commit_before": pl.String,
    "commit_after": pl.String,
    "run_id": pl.String,
    "code_before": pl.String,
    "code_after": pl.String,
    "files": pl.String,
    "compared": pl.Boolean,
    "rows_changed": pl.Int64,
    "rows_added": pl.Int64,
    "rows_removed": pl.Int64,
    "symbols": pl.Int64,
    "largest_bps": pl.Float64,
}
"""Columns of the overview: a row a revision.

``files`` is JSON: SHA-256 before and after of each source file that changed and has rows of a Symbol that differs.
``compared`` is false where retention took the older content before anybody compared it; what differs is then not known.
``largest_bps`` is the largest change of a price, in basis points; null where none changed.
"""

_ROWS = ("rows_changed", "rows_added", "rows_removed")
_TOLD = 1000  # failed evaluations of the check that are looked through for revisions that were told already
_NAMED = 5  # sessions whose users a warning counts; a vendor may restate years at once


def revision_assets(sessions: dg.PartitionsDefinition[str]) -> list[dg.AssetsDefinition]:
    """bar_revisions."""

    @dataset(
        DATASET,
        group="bars",
        description="Every value by which a session's minutes differ from the version published before, revision by "
        "revision, with the commits and source files on both sides. Empty for a session that was delivered once.",
        sources=["trading/bars/revisions.py", "resources/lake/revisions.py", "trading_assets/revisions.py"],
        partitions=sessions,
        deps=[MINUTES],
    )
    def bar_revisions(
        context: dg.AssetExecutionContext, lake: LakeResource, clock: ClockResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        publisher = lake.publisher(context, platform_version(), clock.now)

        def prepare(_: Sequence[str]) -> Produce:
            snapshot = publisher.snapshot()

            def produce(session: str) -> Materialised | Skipped:
                found = revisions(snapshot, dt.date.fromisoformat(session))
                if found is None:
                    return Skipped(f"{MINUTES} of session {session} was never on main")
                overview, differences = found
                publication = publisher.publish(
                    DATASET,
                    {"session": session},
                    {"data.parquet": differences, OVERVIEW_FILE: overview},
                    audit=contract_audit(DATASET, f"{DATASET} {session}"),
                    inputs={MINUTES: snapshot.ref},
                    since=snapshot.ref,
                )
                return materialised(
                    publication,
                    differences.height,
                    {"revisions": overview.height, **{name: int(overview[name].sum()) for name in _ROWS}},
                    reads={MINUTES: snapshot.ref},
                )

            return produce

        yield from materialise_partitions(context, DATASET, prepare)

    return [bar_revisions]


def revisions(snapshot: "Snapshot", session: dt.date) -> tuple[pl.DataFrame, pl.DataFrame] | None:
    """All revisions of a session's minutes up to a snapshot; None where there never were any.

    What retention took away is filled from the revisions published before.

    Returns:
        The overview (columns :data:`OVERVIEW`) and the differences (contract ``bar_revisions``), both in order of revision.
    """
    from resources.lake.revisions import versions

    known = versions(snapshot, MINUTES, {"session": session.isoformat()})
    if not known:
        return None
    overview: list[dict[str, Any]] = []
    differences: list[pl.DataFrame] = []
    for number, (before, after) in enumerate(pairwise(known), start=1):
        row, frame = _revision(snapshot, session, before, after)
        overview.append({"session": session, "revision": number, **row})
        numbered = {"session": pl.lit(session), "revision": pl.lit(number, pl.Int32)}
        differences.append(frame.select(**numbered, **{name: pl.col(name) for name in frame.columns}))
    return pl.DataFrame(overview, schema=dict(OVERVIEW)), pl.concat([_no_differences(), *differences])


def _no_differences() -> pl.DataFrame:
    from trading.bars.revisions import DIFFERENCE_COLUMNS

    return pl.DataFrame(schema={"session": pl.Date, "revision": pl.Int32, **DIFFERENCE_COLUMNS})


def _revision(
    snapshot: "Snapshot", session: dt.date, before: "Version", after: "Version"
) -> tuple[dict[str, Any], pl.DataFrame]:
    from resources.lake.errors import Gone
    from trading.bars.revisions import bar_differences, summary

    row = {
        "revised_at": after.commit.created,
        "commit_before": before.commit.id,
        "commit_after": after.commit.id,
        "run_id": after.commit.metadata.get("run_id", ""),
        "code_before": before.commit.metadata.get("code_version", ""),
        "code_after": after.commit.metadata.get("code_version", ""),
    }
    stored = _published_before(snapshot, session, before.commit.id, after.commit.id)
    frame: pl.DataFrame | None = None
    with suppress(Gone):
        frame = bar_differences(bars_of(snapshot.lake, session, before), bars_of(snapshot.lake, session, after))
    if frame is None and stored is not None:
        return stored
    try:
        symbols = None if frame is None else frame["Symbol"].unique()
        files = json.dumps(_changed_files(snapshot.lake, session, before.commit, after.commit, symbols), sort_keys=True)
    except Gone:
        files = stored[0]["files"] if stored is not None else "{}"
    known = frame is not None
    frame = _no_differences().drop("session", "revision") if frame is None else frame
    return {**row, "files": files, "compared": known, **summary(frame)}, frame


def _published_before(
    snapshot: "Snapshot", session: dt.date, before: str, after: str
) -> tuple[dict[str, Any], pl.DataFrame] | None:
    """A revision as it was published when both sides could still be read; None where it was not."""
    partition = {"session": session.isoformat()}
    if not snapshot.exists(DATASET, partition):
        return None
    seen = snapshot.frame(DATASET, partition, OVERVIEW_FILE).filter(
        pl.col("commit_before") == before, pl.col("commit_after") == after
    )
    if seen.is_empty():
        return None
    row = seen.row(0, named=True)
    frame = snapshot.frame(DATASET, partition).filter(pl.col("revision") == row["revision"])
    kept = {name: row[name] for name in OVERVIEW if name not in ("session", "revision")}
    return kept, frame.drop("session", "revision")


def _changed_files(
    lake: "Lake", session: dt.date, before: "Commit", after: "Commit", symbols: pl.Series | None
) -> dict[str, list[str | None]]:
    """SHA-256 before and after, None where it was not there, of the files that changed and have rows of those Symbols."""
    sides = [_source_files(lake, session, commit, symbols) for commit in (before, after)]
    hashes = {name: [side.get(name) for side in sides] for name in sorted({*sides[0], *sides[1]})}
    return {name: pair for name, pair in hashes.items() if pair[0] != pair[1]}


def _source_files(lake: "Lake", session: dt.date, commit: "Commit", symbols: pl.Series | None) -> dict[str, str]:
    """SHA-256 by file of the raw rows that a version of the minutes was made from; of all Symbols where None."""
    from resources.lake.layout import DATA_FILE
    from resources.lake.provenance import made_by
    from resources.lake.reading import Snapshot

    at = json.loads(commit.metadata.get("inputs", "{}")).get("m1_raw")
    if at is None:
        return {}
    snapshot = Snapshot(lake, at)
    found: dict[str, str] = {}
    for item in lake.list(at, f"m1_raw/session={session}/"):
        if not item.path.endswith(f"/{DATA_FILE}"):
            continue
        partition = item.path.removeprefix("m1_raw/").removesuffix(f"/{DATA_FILE}")
        hashes = json.loads(made_by(snapshot, "m1_raw", partition).metadata.get("source_files", "{}"))
        rows = snapshot.frame("m1_raw", partition)
        of_symbols = rows if symbols is None else rows.filter(pl.col("Symbol").is_in(symbols.implode()))
        found |= {name: str(hashes.get(name, "unknown")) for name in of_symbols["source_file"].unique()}
    return found


def revision_checks() -> list[dg.AssetChecksDefinition]:
    """unrevised."""

    @dg.asset_check(
        asset=DATASET,
        name=UNREVISED_CHECK,
        description="No session of the run came again with other bars. Warns in the run that first sees a revision, and not "
        "again for the same one.",
    )
    def unrevised(
        context: dg.AssetCheckExecutionContext, lake: LakeResource, ledger: LedgerResource
    ) -> dg.AssetCheckResult:
        from resources.lake.reading import Snapshot

        opened = lake.open()
        history = History(Snapshot(opened, opened.resolve("main@")))
        step = context.op_execution_context
        keys = step.partition_keys if step.has_partition_key or step.has_partition_key_range else []
        days = {dt.date.fromisoformat(key) for key in keys}
        table = history.frame(DATASET, [day for day in history.sessions(DATASET) if day in days], file=OVERVIEW_FILE)
        found = table.filter((pl.sum_horizontal(*_ROWS) > 0) | ~pl.col("compared")) if table.width else table
        if found.height:
            found = found.filter(~pl.col("commit_after").is_in(_told(context.instance)))
        if found.is_empty():
            return dg.AssetCheckResult(
                passed=True,
                severity=dg.AssetCheckSeverity.WARN,
                description=f"{len(days)} sessions, none revised that was not told before",
            )
        days_found = found["session"].unique().sort()
        used = {
            day: users_of_old_bars(opened, ledger.open(), day, confirmed=confirmations(context.instance)).counts
            for day in days_found[:_NAMED]
        }
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(_said(found, used)),
            metadata={
                "figure": figure(found),
                "limit": "0 rows",
                "command": f"trading revisions show {days_found[0]}",
                "revisions": dg.MetadataValue.json(
                    [
                        {"session": str(day), "commit_before": before, "commit_after": after}
                        for day, before, after in found.select("session", "commit_before", "commit_after").iter_rows()
                    ]
                ),
                "used_by": dg.MetadataValue.json({str(day): counts for day, counts in used.items()}),
            },
        )

    return [unrevised]


def figure(found: pl.DataFrame) -> str:
    """What rows of an overview come to: ``3 rows of 2 Symbols, prices by up to 35.2 bps``; of several ``in 4 sessions``."""
    rows = int(found.select(pl.sum_horizontal(*_ROWS).sum()).item())
    sessions, symbols = found["session"].n_unique(), int(found["symbols"][0])
    where = f"of {_counted(symbols, 'Symbol')}" if found.height == 1 else f"in {_counted(sessions, 'session')}"
    largest = found["largest_bps"].max()
    moved = f", prices by up to {largest:.1f} bps" if isinstance(largest, float) else ""
    lost = found.filter(~pl.col("compared")).height
    unknown = f", {_counted(lost, 'revision')} not comparable any more" if lost else ""
    return f"{_counted(rows, 'row')} {where}{moved}{unknown}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _said(found: pl.DataFrame, used: Mapping[dt.date, Mapping[str, int]]) -> Iterator[str]:
    for day in used:
        of_day = found.filter(pl.col("session") == day).sort("revision")
        commits = f"commit {of_day['commit_before'][0][:12]} to {of_day['commit_after'][-1][:12]}"
        users = ", ".join(_counted(count, name.removesuffix("s")) for name, count in used[day].items())
        yield (
            f"session {day} came again with other bars: {figure(of_day)}, {commits}; {users} used the old ones. See "
            f"`trading revisions show {day}` and `trading revisions used {day}`"
        )
    if more := found["session"].n_unique() - len(used):
        yield f"and {more} more sessions: `trading revisions`"


def _told(instance: dg.DagsterInstance) -> list[str]:
    """Commits of revisions that an earlier evaluation has failed for."""
    from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

    records = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(DATASET), UNREVISED_CHECK),
        limit=_TOLD,
        status={AssetCheckExecutionRecordStatus.FAILED},
    )
    told: list[str] = []
    for record in records:
        event = record.event.dagster_event if record.event is not None else None
        if event is not None:
            value: Any = event.asset_check_evaluation_data.metadata["revisions"].value
            told += [revision["commit_after"] for revision in value]
    return told
