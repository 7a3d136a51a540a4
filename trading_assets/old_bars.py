"""Who used bars that were revised since: backtests, promotion decisions and orders, by their lineage.

A partition rests on old bars where the commit that made it read, at its pinned inputs, a version of the session's bars that is
not the one which stands now; directly, or through what it was made from. Bars that were revised and then corrected back are
not old: versions are told by their content.

A partition that was made again from the new bars and came out the same is not published again, so that its commit names the
old ones for ever. That it was made again is on record in its materialisation events; `Confirmations` looks there.
"""

import datetime as dt
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.storage.tags import MULTIDIMENSIONAL_PARTITION_PREFIX

if TYPE_CHECKING:
    from resources.lake import Commit, Lake
    from resources.lake.revisions import Timeline, Version
    from resources.ledger import Ledger
    from resources.ledger.records import Decision
    from trading.orders import OrderIntent

MINUTES = "m1_bars"

Confirmations = Callable[[str, dt.datetime], Mapping[tuple[str, str], Sequence[Mapping[str, str]]]]
"""For a dataset: by partition path and data version, the input commits of each time since then that this content was made."""

# A commit's metadata may say from which earlier session on an input was read: {"d1_bars": "2023-10-02"}.
READS_FROM = "reads_from"

_BY_VARIANT = {"signals", "backtest", "promotion_decision"}
# What a session's features and universe are made from is of the sessions before it: see READS_FROM for how far back.
_EARLIER_ONLY = {("daily_features", "d1_bars"), ("universe", "d1_bars")}
_EVENTS_A_PAGE = 1000
# The lake and Dagster may take their times from two machines.
_CLOCKS_APART = dt.timedelta(hours=1)


@dataclass(frozen=True)
class BacktestUse:
    """A backtest on ``main`` whose replay over ``horizon`` used old bars; ``session`` is its as-of session."""

    variant: str
    session: dt.date
    horizon: str
    commit: str


@dataclass(frozen=True)
class DecisionUse:
    """A recorded promotion decision whose evidence used old bars; ``orders`` were sent on its strength."""

    decision_id: str
    variant: str
    session: dt.date
    from_stage: str
    to_stage: str
    orders: int


@dataclass(frozen=True)
class OrderUse:
    """A recorded order whose signal, or whose session's bars, were made from old bars."""

    order_ref: str
    account: str
    variant: str
    session: dt.date
    symbol: str
    state: str


@dataclass(frozen=True)
class OldBarsUsers:
    """What rests on bars of ``session`` that were revised since.

    Attributes:
        versions: of the session's bars, so far.
        newest_commit: the one that brought the version which stands now; "" where the session has no bars.
    """

    session: dt.date
    versions: int
    newest_commit: str
    backtests: tuple[BacktestUse, ...] = ()
    decisions: tuple[DecisionUse, ...] = ()
    orders: tuple[OrderUse, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        return {"backtests": len(self.backtests), "decisions": len(self.decisions), "orders": len(self.orders)}

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; dates in ISO 8601."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self), default=lambda day: day.isoformat()))
        return found


def users_of_old_bars(
    lake: "Lake",
    ledger: "Ledger",
    session: dt.date,
    *,
    confirmed: Confirmations = lambda *_: {},
    progress: Callable[[int, int], None] = lambda *_: None,
) -> OldBarsUsers:
    """Backtests on ``main``, and decisions and orders in the ledger, that rest on older bars of ``session``.

    Args:
        lake: read at the head of ``main``.
        ledger: of the same installation.
        session: whose bars.
        confirmed: see :data:`Confirmations`; without it, what came out the same from the new bars is listed still.
        progress: called with the number of commits read so far, and about how many there are.
    """
    from resources.lake.reading import Snapshot
    from resources.lake.revisions import Timeline, versions

    head = Snapshot(lake, lake.resolve("main@"))
    known = versions(head, MINUTES, {"session": session.isoformat()})
    if len(known) < 2:
        return OldBarsUsers(session, len(known), known[0].commit.id if known else "")
    old = {version.commit.id for version in known if not _is_current(lake, session, version, known[-1])}
    timeline = Timeline(head, known[0].commit.id, progress)
    lineage = _Lineage(timeline, session, known, old, confirmed)
    orders = ledger.states_since(session)
    return OldBarsUsers(
        session,
        len(known),
        known[-1].commit.id,
        backtests=tuple(_backtests(head.ref, lake, lineage)),
        decisions=tuple(_decisions(lake, ledger, lineage, [intent for intent, _ in orders])),
        orders=tuple(
            OrderUse(intent.order_ref, intent.account, intent.variant, intent.session, intent.symbol, state.value)
            for intent, state in orders
            if lineage.order_rests(intent)
        ),
    )


def bars_of(lake: "Lake", session: dt.date, version: "Version") -> pl.DataFrame:
    """The minutes of a version; no rows where it is the removal of the file. Raises Gone where retention took them."""
    from resources.lake.reading import Snapshot
    from trading.contracts import BAR_COLUMNS

    if version.checksum == "":
        return pl.DataFrame(schema=dict(BAR_COLUMNS))
    return Snapshot(lake, version.commit.id).frame(MINUTES, {"session": session.isoformat()})


def confirmations(instance: dg.DagsterInstance) -> Confirmations:
    """From the materialisation events of an instance: each names its content's data version and the commits it read."""

    def found(dataset: str, since: dt.datetime) -> Mapping[tuple[str, str], Sequence[Mapping[str, str]]]:
        after = dg.AssetRecordsFilter(dg.AssetKey(dataset), after_timestamp=since.timestamp())
        reads: dict[tuple[str, str], list[Mapping[str, str]]] = {}
        cursor, more = None, True
        while more:
            page = instance.fetch_materializations(after, limit=_EVENTS_A_PAGE, cursor=cursor)
            cursor, more = page.cursor, page.has_more
            for event in page.records:
                made = event.asset_materialization
                if made is not None and made.partition is not None and "reads" in made.metadata:
                    value: Any = made.metadata["reads"].value
                    version = (made.tags or {}).get(DATA_VERSION_TAG, "")
                    reads.setdefault((_path_of(made), version), []).append(value)
        return reads

    return found


def _path_of(made: dg.AssetMaterialization) -> str:
    """Partition path in the lake, session first."""
    tags = made.tags or {}
    keys = {
        name.removeprefix(MULTIDIMENSIONAL_PARTITION_PREFIX): value
        for name, value in tags.items()
        if name.startswith(MULTIDIMENSIONAL_PARTITION_PREFIX)
    }
    session = keys.pop("session", made.partition or "")
    return _path({"session": session, **keys})


def _backtests(head: str, lake: "Lake", lineage: "_Lineage") -> Iterator[BacktestUse]:
    from resources.lake.reading import Snapshot

    snapshot = Snapshot(lake, head)
    made = {
        path: commit
        for path in snapshot.partitions("backtest")
        if path.partition("/")[0] >= f"session={lineage.day}"
        and (commit := lineage.timeline.made_by("backtest", path, head))
    }
    if not made:
        return
    rows = snapshot.scan("backtest", list(made)).select("variant", "session", "horizon", "first").collect()
    for variant, session, horizon, first in rows.sort("session", "variant", maintain_order=True).iter_rows():
        commit = made[f"session={session}/variant={variant}"]
        if lineage.backtest_rests(commit, variant, session, first.isoformat()):
            yield BacktestUse(variant, session, horizon, commit.id)


def _decisions(
    lake: "Lake", ledger: "Ledger", lineage: "_Lineage", orders: Sequence["OrderIntent"]
) -> Iterator[DecisionUse]:
    published = lake.list_tags("decision-")
    for decision in ledger.decisions():
        commit = published.get(f"decision-{decision.decision_id}", "")
        if decision.session >= lineage.session and lineage.decision_rests(decision, commit):
            sent = sum(intent.lineage.decision_id == decision.decision_id for intent in orders)
            yield DecisionUse(
                decision.decision_id,
                decision.variant,
                decision.session,
                decision.from_stage,
                decision.to_stage,
                sent,
            )


@dataclass
class _Lineage:
    """Follows inputs from what was made to the session's minutes; each commit is judged once.

    Attributes:
        known: versions of the minutes, oldest first.
        old: commits of those that do not hold what the newest one holds.
    """

    timeline: "Timeline"
    session: dt.date
    known: Sequence["Version"]
    old: Collection[str]
    confirmed: Confirmations
    _judged: dict[tuple[str, str], bool] = field(default_factory=dict)
    _again: dict[str, Mapping[tuple[str, str], Sequence[Mapping[str, str]]]] = field(default_factory=dict)

    @cached_property
    def day(self) -> str:
        return self.session.isoformat()

    @cached_property
    def _published(self) -> dict[tuple[str, str], list[str]]:
        """Sessions by dataset and the rest of the partition's path, in order."""
        found: dict[tuple[str, str], list[str]] = {}
        for dataset, path in self.timeline.partitions():
            session, _, rest = path.partition("/")
            if session.startswith("session="):
                found.setdefault((dataset, rest), []).append(session.removeprefix("session="))
        return {where: sorted(sessions) for where, sessions in found.items()}

    def order_rests(self, intent: "OrderIntent") -> bool:
        partition = {"session": intent.session.isoformat(), "variant": intent.variant}
        made = [(dataset, self.timeline.commit(commit)) for dataset, commit in intent.lineage.commits.items()]
        return any(
            commit is not None and self._rests(dataset, _keys_of(dataset, partition), commit)
            for dataset, commit in made
        )

    def decision_rests(self, decision: "Decision", published: str) -> bool:
        """``published``: the commit that the decision was published with; "" where that is not known."""
        evidence = decision.content.get("evidence", {})
        firsts = [str(horizon["first"]) for horizon in evidence.get("horizons", ())]
        if not firsts:
            return False
        commit = self.timeline.commit(str(evidence.get("commits", {}).get("backtest", "")))
        if commit and self.backtest_rests(commit, decision.variant, decision.session, min(firsts)):
            return True
        commit = self.timeline.commit(published)
        at = _inputs(commit).get("bar_quality", "") if commit else ""
        quality = {"session": self.day}
        made = self.timeline.made_by("bar_quality", _path(quality), at) if min(firsts) <= self.day else None
        return made is not None and self._rests("bar_quality", quality, made)

    def backtest_rests(self, commit: "Commit", variant: str, as_of: dt.date, first: str) -> bool:
        """Whether a replay from session ``first`` to ``as_of``, published by ``commit``, used old bars."""
        partition = {"session": as_of.isoformat(), "variant": variant}
        return self._any_making("backtest", partition, commit, dict.fromkeys(_inputs(commit), first))

    def _rests(self, dataset: str, partition: Mapping[str, str], commit: "Commit") -> bool:
        key = (dataset, commit.id)
        if key not in self._judged:
            starts: dict[str, str] = json.loads(commit.metadata.get(READS_FROM, "{}"))
            self._judged[key] = self._any_making(dataset, partition, commit, starts)
        return self._judged[key]

    def _any_making(
        self, dataset: str, partition: Mapping[str, str], commit: "Commit", starts: Mapping[str, str]
    ) -> bool:
        """Old bars went into the content each time that it was made, as far as is known."""
        if not self._reads_old(dataset, partition, _inputs(commit), starts):
            return False
        if dataset not in self._again:
            self._again[dataset] = self.confirmed(dataset, self.known[-1].commit.created - _CLOCKS_APART)
        again = self._again[dataset].get((_path(partition), commit.metadata.get("data_version", "")), ())
        return all(self._reads_old(dataset, partition, reads, starts) for reads in again)

    def _reads_old(
        self, dataset: str, partition: Mapping[str, str], inputs: Mapping[str, str], starts: Mapping[str, str]
    ) -> bool:
        own = partition["session"]
        for upstream, at in inputs.items():
            earlier_only = (dataset, upstream) in _EARLIER_ONLY
            first = starts.get(upstream, "9999" if earlier_only else own)
            if upstream == MINUTES:
                seen = self.timeline.version_at(self.known, at) if first <= self.day <= own else None
                if seen is not None and seen.commit.id in self.old:
                    return True
                continue
            keys = _keys_of(upstream, partition)
            sessions = self._published.get((upstream, _path(keys).partition("/")[2]), [])
            # what is of an earlier session than the bars was not made from them
            start = bisect_left(sessions, max(first, self.day))
            end = (bisect_left if earlier_only else bisect_right)(sessions, own)
            for session in sessions[start:end]:
                read = {**keys, "session": session}
                made = self.timeline.made_by(upstream, _path(read), at)
                if made is not None and self._rests(upstream, read, made):
                    return True
        return False


def _is_current(lake: "Lake", session: dt.date, version: "Version", newest: "Version") -> bool:
    """Whether a version has the bars of the newest one: the same bytes, or the same values in other bytes."""
    from resources.lake.errors import Gone
    from trading.bars.revisions import bar_differences

    if version.holds_the_same_as(newest):
        return True
    try:
        return bar_differences(bars_of(lake, session, version), bars_of(lake, session, newest)).is_empty()
    except Gone:
        return False


def _inputs(commit: "Commit") -> dict[str, str]:
    found: dict[str, str] = json.loads(commit.metadata.get("inputs", "{}"))
    return found


def _keys_of(dataset: str, partition: Mapping[str, str]) -> dict[str, str]:
    """The keys that a partition of ``dataset`` shares with one that was made from it, or beside it."""
    names = ("session", "variant") if dataset in _BY_VARIANT else ("session",)
    return {name: partition[name] for name in names}


def _path(keys: Mapping[str, str]) -> str:
    return "/".join(f"{name}={value}" for name, value in keys.items())
