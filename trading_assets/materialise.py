"""Running one asset over one or many partitions, each with its own outcome.

A backfill of a range is one run. Inside it every partition stands alone: one that breaks its contract is refused, named in
the `contract` check and left unmaterialised, while the others are published and reach downstream. The run itself then ends
as failed (see `checks.refusals_fail_the_run`), so that nobody takes it for complete.

Dagster writes one materialisation event per partition of a run by itself, all alike and also for partitions that failed.
Here each event carries its partition's own metadata and data version, so the automatic ones are switched off by the
marker that Dagster keeps for outputs that report their events themselves.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
)
from dagster._core.definitions.partitions.utils import get_tags_from_multi_partition_key
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION

from resources.lake.errors import Overtaken
from trading.errors import DataError, OrderError, TradingError
from trading_assets.ahead import ahead, threads
from trading_assets.staleness import InputsSeen

CONTRACT_CHECK = "contract"
# Errors that concern one partition and leave the others alone.
PARTITION_ERRORS = (DataError, OrderError)
_SECONDS_BETWEEN_PROGRESS = 2.0
_PASSES = 4

T = TypeVar("T")


@dataclass(frozen=True)
class Materialised:
    """A partition whose data is on main.

    Attributes:
        data_version: hash of the content; equal content keeps it, so that downstream is not stale.
        published: False when main already held the same content.
    """

    data_version: str
    commit: str
    rows: int
    published: bool
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Skipped:
    """A partition with nothing to do, and why: no data at the source, or an upstream that was refused."""

    reason: str


class PartitionRecorder:
    """Collects what happened to each partition of one asset and tells Dagster."""

    def __init__(self, context: dg.AssetExecutionContext, asset: str, *, checked: bool = True) -> None:
        self.context = context
        self.key = dg.AssetKey(asset)
        self.checked = checked
        self.code_version = context.assets_def.code_versions_by_key.get(self.key)
        self.inputs = InputsSeen(context, self.key)
        self.done: dict[str, Materialised] = {}
        self.refused: dict[str, TradingError] = {}
        self.skipped: dict[str, str] = {}

    def record(self, partition: str | None, outcome: Materialised | Skipped | TradingError) -> None:
        if isinstance(outcome, Materialised):
            self._materialised(partition, outcome)
        elif isinstance(outcome, Skipped):
            self.skipped[str(partition)] = outcome.reason
            self.context.log.info(f"{self.key.to_user_string()} {partition}: skipped, {outcome.reason}")
        else:
            self.refused[str(partition)] = outcome
            self.context.log.error(f"{self.key.to_user_string()} {partition}: refused. {outcome}")
            self._evaluate(partition, passed=False, description=str(outcome), metadata=_refusal(outcome))

    def _materialised(self, partition: str | None, outcome: Materialised) -> None:
        self.done[str(partition)] = outcome
        tags = {
            DATA_VERSION_TAG: outcome.data_version,
            DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
            **({CODE_VERSION_TAG: self.code_version} if self.code_version else {}),
            **self.inputs.tags(),
        }
        if isinstance(partition, dg.MultiPartitionKey):
            tags.update(get_tags_from_multi_partition_key(partition))
        self.context.log_event(
            dg.AssetMaterialization(
                self.key,
                partition=partition,
                metadata={
                    "dagster/row_count": outcome.rows,
                    **outcome.metadata,
                    "lake_commit": outcome.commit,
                    "published": outcome.published,
                },
                tags=tags,
            )
        )
        self._evaluate(partition, passed=True, description="written, read back and found to keep its contract")

    def _evaluate(
        self,
        partition: str | None,
        *,
        passed: bool,
        description: str,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        if self.checked:
            self.context.log_event(
                dg.AssetCheckEvaluation(
                    self.key,
                    CONTRACT_CHECK,
                    passed=passed,
                    blocking=True,
                    partition=partition,
                    description=description,
                    metadata=metadata,
                )
            )

    def finish(self) -> dg.MaterializeResult[Any]:
        """The step's result; Failure where not one partition could be materialised."""
        name = self.key.to_user_string()
        if not self.done and (self.refused or self.skipped):
            reasons = {**{k: str(e) for k, e in self.refused.items()}, **self.skipped}
            first = next(iter(reasons.items()))
            more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
            raise dg.Failure(
                description=f"{name} {first[0]}: {first[1]}{more}",
                metadata={key: dg.MetadataValue.text(text) for key, text in list(reasons.items())[:20]},
                allow_retries=False,
            )
        published = sum(outcome.published for outcome in self.done.values())
        self.context.log.info(
            f"{name}: {published} partitions published, {len(self.done) - published} unchanged, "
            f"{len(self.refused)} refused, {len(self.skipped)} skipped"
        )
        return dg.MaterializeResult(asset_key=self.key, metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True})


Produce = Callable[[str], Materialised | Skipped]
"""Makes and publishes one partition. Raises Overtaken where another run published it meanwhile."""


@dataclass(frozen=True)
class Pipeline(Generic[T]):
    """Makes partitions in two halves, so that the next ones are read and computed while one is published.

    Attributes:
        compute: reads what was pinned and computes one partition; changes nothing outside, as several threads call it ahead.
            What it raises counts as raised by the partition in its turn.
        publish: by asset, publishes what was computed: in order, one at a time. Raises as `Produce` does.
        read: gives what ``compute`` gets in place of the key; called in order by one thread, for sources that read forward.
    """

    compute: Callable[[Any], T | Skipped]
    publish: Mapping[str, Callable[[str, T], Materialised | Skipped]]
    read: Callable[[str], Any] | None = None


def materialise_partitions(
    context: dg.AssetExecutionContext,
    assets: str | Sequence[str],
    prepare: Callable[[Sequence[str]], Produce | Pipeline[Any]],
) -> Iterator[dg.MaterializeResult[Any]]:
    """Make each partition of the run, in time order, and record each outcome.

    ``prepare`` pins what the partitions named are made from, and returns what makes one; of several ``assets`` of one step a
    `Pipeline`. What is wrong with a partition's data or orders (`DataError`, `OrderError`) refuses that partition only.
    Anything else, an unreachable lake or ledger or a wrong setting, would hit every partition alike and ends the step.

    A partition that another run published meanwhile is made again from the new head, after all others: its inputs may have
    changed too. The log and the event's metadata say which run that was.
    """
    names = [assets] if isinstance(assets, str) else list(assets)
    recorders = {name: PartitionRecorder(context, name) for name in names}
    pending = dict.fromkeys(sorted(context.partition_keys, key=session_of), names)
    overtaken: dict[tuple[str, str], Overtaken] = {}
    for _ in range(_PASSES):
        before, overtaken = overtaken, {}
        if before:
            for recorder in recorders.values():
                recorder.inputs.look()
        with closing(_made(prepare(list(pending)), names, list(pending))) as made:
            for key, publish in _with_progress(context, ", ".join(names), made, len(pending)):
                for name in pending[key]:
                    try:
                        recorders[name].record(key, _retried(publish(name), before.get((key, name))))
                    except Overtaken as met:
                        overtaken[key, name] = met
                        context.log.warning(f"{name} {key}: {met}")
                    except PARTITION_ERRORS as error:
                        recorders[name].record(key, error)
        pending = {key: [name for found, name in overtaken if found == key] for key, _ in overtaken}
        if not pending:
            break
    for (key, name), last in overtaken.items():
        recorders[name].record(key, last)
    yield from _results(list(recorders.values()))


Publish = Callable[[str], Materialised | Skipped]
"""Publishes one partition of the asset named."""


def _made(
    how: Produce | Pipeline[Any], names: Sequence[str], keys: Sequence[str]
) -> Generator[tuple[str, Publish], None, None]:
    """Each key in order, with what publishes it."""
    if not isinstance(how, Pipeline):
        assert len(names) == 1, f"{', '.join(names)}: several assets of one step are made by a Pipeline"
        for key in keys:
            yield key, lambda _, key=key: how(key)  # type: ignore[misc]
        return
    with closing(_computed(how, keys)) as computed:
        for key, result in computed:

            def publish(name: str, key: str = key, result: Callable[[], Any] = result) -> Materialised | Skipped:
                content = result()
                return content if isinstance(content, Skipped) else how.publish[name](key, content)

            yield key, publish


def _computed(how: Pipeline[T], keys: Sequence[str]) -> Generator[tuple[str, Callable[[], T | Skipped]], None, None]:
    """Each key in order, with what gives its content."""
    workers = min(threads(), len(keys))
    if how.read is None:
        yield from ahead(how.compute, keys, workers)
        return

    def compute(item: tuple[str, Callable[[], Any]]) -> T | Skipped:
        received = item[1]()
        return received if isinstance(received, Skipped) else how.compute(received)

    with closing(ahead(how.read, keys, 1)) as received, closing(ahead(compute, received, workers)) as computed:
        for (key, _), result in computed:
            yield key, result


def _results(recorders: Sequence[PartitionRecorder]) -> Iterator[dg.MaterializeResult[Any]]:
    """Results of one step's assets; one without a single partition has none, and fails the step where no other has."""
    idle = [recorder for recorder in recorders if not recorder.done and (recorder.refused or recorder.skipped)]
    if len(idle) == len(recorders):
        recorders[0].finish()
    for recorder in recorders:
        if recorder not in idle:
            yield recorder.finish()


def _retried(outcome: Materialised | Skipped, met: Overtaken | None) -> Materialised | Skipped:
    if met is None or isinstance(outcome, Skipped):
        return outcome
    told = {"overtaken_by_run": met.by_run or "unknown", "overtaken_at_commit": met.commit_id}
    return replace(outcome, metadata={**outcome.metadata, **told})


def _with_progress(
    context: dg.AssetExecutionContext, what: str, made: Iterable[tuple[str, Publish]], total: int
) -> Iterator[tuple[str, Publish]]:
    """``made`` itself; logs how many are published, and how long the others will take at that pace."""
    started = reported = time.monotonic()
    for number, item in enumerate(made, start=1):
        yield item
        now = time.monotonic()
        if now - reported > _SECONDS_BETWEEN_PROGRESS and number < total:
            reported = now
            left = (now - started) / number * (total - number)
            context.log.info(f"{what}: {number} of {total} partitions, about {left:.0f} s left")


def session_of(partition: str) -> str:
    """The session of a partition key, alone or crossed with a variant or an account."""
    if isinstance(partition, dg.MultiPartitionKey):
        return partition.keys_by_dimension["session"]
    return partition


def dimension_of(partition: str, dimension: str) -> str:
    assert isinstance(partition, dg.MultiPartitionKey)
    return partition.keys_by_dimension[dimension]


def _refusal(error: TradingError) -> dict[str, Any]:
    details = {
        name: getattr(error, name)
        for name in ("rule", "contract", "details", "tag")
        if isinstance(getattr(error, name, None), str)
    }
    return {"error": type(error).__name__, **details}
