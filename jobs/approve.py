"""Approving a step to live in the UI: a job whose launcher gives the person's name and reason."""

import datetime as dt
from collections.abc import Callable

import dagster as dg

from resources.configurable import ClockResource, LakeResource, LedgerResource

APPROVE_JOB = "approve_job"

Approve = Callable[[LakeResource, LedgerResource, dt.datetime, str, str, str], str]
"""Records the approval of a variant by a person for a reason, and says what was recorded."""


class ApproveConfig(dg.Config):
    """Who approves what, and why.

    Attributes:
        variant: name of the file under configs/runs/.
        by: the person's name; automation cannot approve.
    """

    variant: str
    by: str
    reason: str


def approve_job(approve: Approve) -> dg.JobDefinition:
    """The job; it approves nothing that ``trading approve`` would not."""

    @dg.op(description="Record a named person's approval of one version on its newest evidence.")
    def record_approval(
        context: dg.OpExecutionContext,
        config: ApproveConfig,
        lake: LakeResource,
        ledger: LedgerResource,
        clock: ClockResource,
    ) -> None:
        context.log.info(approve(lake, ledger, clock.now(), config.variant, config.by, config.reason))

    @dg.job(
        name=APPROVE_JOB,
        description="A person's approval of a step from paper to live: give variant, by and reason in the launchpad.",
        executor_def=dg.in_process_executor,
    )
    def approval() -> None:
        record_approval()

    return approval
