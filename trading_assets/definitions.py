"""The code location: the one place where assets, checks, jobs, schedules, sensors and resources are put together."""

import os
import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

# Single-run backfills and partition mappings over two dimensions are still called beta by Dagster; they are used on purpose
# and held by tests, so an operator need not read about them at every start.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

from jobs.groups import MARKET_DATA_JOB, REPORT_JOB, RESEARCH_JOB, TRADING_JOB, group_jobs  # noqa: E402
from jobs.parity import parity_job  # noqa: E402
from jobs.quality import QUALITY_JOB, quality_job  # noqa: E402
from jobs.schedules import daily_schedule  # noqa: E402
from resources.configurable import (  # noqa: E402
    AlertsResource,
    BrokerResource,
    ClockResource,
    LakeResource,
    LedgerResource,
    SourcesResource,
)
from sensors.alerts import alerts_sensor  # noqa: E402
from sensors.next_stage import next_stage_sensors  # noqa: E402
from sensors.quality import quality_sensor  # noqa: E402
from trading_assets.backtests import backtest_assets  # noqa: E402
from trading_assets.bars import bar_assets  # noqa: E402
from trading_assets.checks import quality_checks, refusals_fail_the_run  # noqa: E402
from trading_assets.configured import sweep_names, variant_names  # noqa: E402
from trading_assets.corporate_actions import corporate_action_assets  # noqa: E402
from trading_assets.features import feature_assets  # noqa: E402
from trading_assets.live import registered_accounts  # noqa: E402
from trading_assets.market_data import market_data_assets  # noqa: E402
from trading_assets.materialise import CONTRACT_CHECK  # noqa: E402
from trading_assets.minutes import minute_assets  # noqa: E402
from trading_assets.orders import order_assets  # noqa: E402
from trading_assets.parity import parity_check  # noqa: E402
from trading_assets.partitions import by_account, by_sweep, by_variant, session_partitions  # noqa: E402
from trading_assets.promotion import promotion_assets  # noqa: E402
from trading_assets.quality import outlier_assets, suite_checks  # noqa: E402
from trading_assets.reports import report_assets  # noqa: E402
from trading_assets.revisions import revision_assets, revision_checks  # noqa: E402
from trading_assets.safety import safety_definitions  # noqa: E402
from trading_assets.settings import Settings  # noqa: E402
from trading_assets.signals import signal_assets  # noqa: E402
from trading_assets.sweeps import sweep_assets, sweep_checks  # noqa: E402
from trading_assets.warehouse import warehouse_assets  # noqa: E402


def build_defs(settings: Settings, *, overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """All definitions of an installation.

    Args:
        settings: where things are and which sessions there are.
        overrides: resources by name that replace the configured ones (lake, ledger, sources, brokers, alerts, clock).

    Raises:
        ConfigError: a setting, variant or account file is wrong.
    """
    sessions = session_partitions(settings)
    variants, accounts = variant_names(settings), registered_accounts(settings)
    session_variant, session_account = by_variant(sessions, variants), by_account(sessions, accounts)
    session_sweep = by_sweep(sessions, sweep_names(settings))
    assets = [
        *market_data_assets(settings, sessions),
        *corporate_action_assets(settings),
        *minute_assets(settings, sessions),
        *bar_assets(settings, sessions),
        *revision_assets(sessions),
        *feature_assets(settings, sessions),
        *signal_assets(settings, session_variant),
        *backtest_assets(settings, session_variant),
        *sweep_assets(settings, session_sweep),
        *promotion_assets(settings, session_variant),
        *order_assets(settings, session_account),
        *warehouse_assets(settings),
        *outlier_assets(settings),
        *report_assets(settings, sessions),
    ]
    if settings.label is not None:
        market = {"market": settings.label}  # on every asset's page: nobody takes a synthetic market for a real one
        assets = list(dg.map_asset_specs(lambda spec: spec.merge_attributes(metadata=market), assets))
    contracted = [
        key.to_user_string()
        for asset in assets
        for key in asset.keys
        if dg.AssetCheckKey(key, CONTRACT_CHECK) in asset.check_keys
    ]
    suites = suite_checks(settings, {key.to_user_string() for asset in assets for key in asset.keys})
    parity = parity_check(settings)
    jobs = {job.name: job for job in [*group_jobs(suites, parity), quality_job(suites), parity_job(parity)]}
    safety = safety_definitions(settings, jobs)
    return dg.Definitions(
        assets=assets,
        asset_checks=[
            *(refusals_fail_the_run(name) for name in contracted),
            *quality_checks(settings),
            *sweep_checks(session_sweep),
            suites,
            parity,
            *revision_checks(),
        ],
        jobs=[*jobs.values(), *safety.jobs],
        schedules=[daily_schedule(jobs[MARKET_DATA_JOB], sessions), *safety.schedules],
        sensors=[
            *next_stage_sensors(jobs, {RESEARCH_JOB: variants, TRADING_JOB: accounts}),
            quality_sensor(jobs[REPORT_JOB], jobs[QUALITY_JOB]),
            alerts_sensor(),
            *safety.sensors,
        ],
        resources={**configured_resources(settings), **(overrides or {})},
        executor=dg.in_process_executor,
    )


def configured_resources(settings: Settings) -> dict[str, Any]:
    """The resources that the settings ask for. What may carry a password is passed by name of its variable."""
    ledger_url = dg.EnvVar("LEDGER_URL") if os.environ.get("LEDGER_URL") else settings.ledger_url
    lake_uri = dg.EnvVar("LAKE_URI") if os.environ.get("LAKE_URI") else settings.lake_uri
    return {
        "lake": LakeResource(uri=lake_uri),
        "ledger": LedgerResource(url=ledger_url),
        "sources": SourcesResource(home=str(settings.home)),
        "brokers": BrokerResource(state_dir=str(settings.home / "broker")),
        "alerts": AlertsResource(
            folder=str(settings.home / "alerts"),
            channel=settings.alerts.channel,
            token_env=settings.alerts.token_env,
            base_url=settings.alerts.base_url,
            ui_url=settings.alerts.ui_url,
        ),
        "clock": ClockResource(),
    }


defs = build_defs(Settings.load())
