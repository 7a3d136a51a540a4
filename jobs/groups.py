"""Jobs by asset group: what a day consists of, in the order in which it happens."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

# A day's runs. Each is one run over its partitions; the next starts when it has succeeded (sensors/next_stage.py).
MARKET_DATA_JOB = "market_data_job"
RESEARCH_JOB = "research_job"
PROMOTION_JOB = "promotion_job"
TRADING_JOB = "trading_job"
REPORT_JOB = "report_job"

# On every run of a job: the queue lets one run of each job through at a time (deploy/dagster.yaml).
JOB_TAG = "trading/job"


def group_jobs(*apart: dg.AssetChecksDefinition) -> list[UnresolvedAssetJobDefinition]:
    """The five jobs of a day. ``apart`` are checks on their assets that have a job of their own."""

    def _job(name: str, groups: list[str], description: str) -> UnresolvedAssetJobDefinition:
        selection: dg.AssetSelection = dg.AssetSelection.groups(*groups)
        return dg.define_asset_job(
            name,
            selection=selection - dg.AssetSelection.checks(*apart) if apart else selection,
            description=description,
            executor_def=dg.in_process_executor,
            tags={JOB_TAG: name},
        )

    return [
        _job(
            MARKET_DATA_JOB,
            ["market_data", "bars", "features"],
            "Raw minutes, bars, quality and universe of sessions.",
        ),
        _job(RESEARCH_JOB, ["signals", "backtests"], "Signals and as-of backtests of every variant."),
        _job(PROMOTION_JOB, ["promotion"], "Decide which stage each variant stands on, from pinned evidence."),
        _job(
            TRADING_JOB,
            ["orders", "portfolio"],
            "Build, route and reconcile the order batch; record what the account is worth.",
        ),
        _job(REPORT_JOB, ["warehouse", "reports"], "Rebuild the analysts' warehouse and the session's report."),
    ]
