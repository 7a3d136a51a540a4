"""Holding the replay against another engine: a job of its own, which blocks nothing."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from jobs.groups import JOB_TAG

PARITY_JOB = "parity_job"


def parity_job(check: dg.AssetChecksDefinition) -> UnresolvedAssetJobDefinition:
    """The job over ``check`` alone."""
    return dg.define_asset_job(
        PARITY_JOB,
        selection=dg.AssetSelection.checks(check),
        description="Trade every variant by vectorbt as well, and compare every trade with the replay's.",
        executor_def=dg.in_process_executor,
        tags={JOB_TAG: PARITY_JOB},
    )
