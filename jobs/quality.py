"""Judging what is stored: a job of its own over the finished warehouse, which blocks nothing."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from jobs.groups import JOB_TAG

QUALITY_JOB = "quality_job"


def quality_job(checks: dg.AssetChecksDefinition) -> UnresolvedAssetJobDefinition:
    """The job over all suites; ``checks`` is the one definition that holds them."""
    return dg.define_asset_job(
        QUALITY_JOB,
        selection=dg.AssetSelection.checks(checks),
        description="Judge every dataset of the warehouse and the lake by its quality suite, and write the data docs.",
        executor_def=dg.in_process_executor,
        tags={JOB_TAG: QUALITY_JOB},
    )
