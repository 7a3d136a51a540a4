"""`trading materialise`: one run over one partition or a range, as the UI would launch it."""

import sys

import click
import dagster as dg
from rich.console import Console

from trading.errors import ConfigError
from trading_assets.commands.options import home_option
from trading_assets.progress import StageProgress
from trading_assets.runs import configured_instance, run_job
from trading_assets.settings import Settings


@click.command()
@click.argument("selection")
@click.option("--partition", help="One partition key, e.g. 2023-11-24 or '2023-11-24|risk1'.")
@click.option("--from", "first", help="First partition of a range; with --to.")
@click.option("--to", "last", help="Last partition of a range.")
@home_option
def materialise(selection: str, partition: str | None, first: str | None, last: str | None, settings: Settings) -> None:
    """Materialise SELECTION (Dagster's syntax, e.g. 'm1_bars', 'm1_raw+', 'group:bars') in this process."""
    if (first is None) != (last is None) or (partition is not None and first is not None):
        raise click.UsageError(
            "give --partition KEY, or both --from KEY and --to KEY, or none for unpartitioned assets"
        )
    from trading_assets.definitions import build_defs
    from trading_assets.quality import CHECK_PREFIX

    try:
        chosen = dg.AssetSelection.from_string(selection)
        defs = build_defs(settings)
        suites = [
            key
            for checks in defs.asset_checks or ()
            if isinstance(checks, dg.AssetChecksDefinition)
            for key in checks.check_keys
            if key.name.startswith(CHECK_PREFIX)
        ]
        named = dg.define_asset_job(
            "materialise",
            selection=chosen - dg.AssetSelection.checks(*suites),  # they are judged after the warehouse, by quality_job
            executor_def=dg.in_process_executor,
        )
        resolved = dg.Definitions.merge(defs, dg.Definitions(jobs=[named])).resolve_job_def("materialise")
    except dg.DagsterError as error:
        raise click.UsageError(f"{selection!r} selects nothing that can run together: {error}") from None
    partitions = resolved.partitions_def
    for key in [found for found in (partition, first, last) if found is not None]:
        if partitions is None:
            raise click.UsageError(f"{selection} has no partitions; leave {key} out")
        if not partitions.has_partition_key(key):
            raise ConfigError(
                f"{key!r} is no partition of {selection}: sessions of {settings.calendar} from {settings.first_session} to "
                f"{settings.last_session or 'yesterday'} are, alone or as 'session|variant', 'account|session'"
            )
    begin, end = partition or first or "", partition or last or ""
    keys = 1 if partitions is None else len(partitions.get_partition_keys_in_range(dg.PartitionKeyRange(begin, end)))
    assets = len(list(resolved.asset_layer.executable_asset_keys))
    with configured_instance(settings) as instance, StageProgress(Console(stderr=True)) as progress:
        progress.begin("materialising", keys * assets)
        outcome = run_job(resolved, instance, begin, end, progress=progress.advance)
        progress.end()
    for asset in sorted({*outcome.published, *outcome.unchanged}):
        click.echo(f"{asset}: {outcome.published.get(asset, 0)} published, {outcome.unchanged.get(asset, 0)} unchanged")
    for (asset, key), reason in outcome.refused.items():
        click.secho(f"{asset} {key} refused: {reason}", fg="red", err=True)
    if not outcome.success:
        for step, reason in outcome.failures.items():
            click.secho(f"{step}: {reason}", fg="red", err=True)
        sys.exit(1)
