"""Orders of a session: the batch, its routing, reconciliation and what the account is worth; session x account."""

import datetime as dt
from collections.abc import Iterator
from functools import partial
from typing import Any

import dagster as dg

from resources.configurable import AlertsResource, BrokerResource, ClockResource, LakeResource, LedgerResource
from resources.logs import json_log_file
from trading.errors import OrderError, TradingError
from trading_assets.bars import BAR_ASSETS
from trading_assets.code_version import platform_version
from trading_assets.dataset import asset_spec, contract_check
from trading_assets.materialise import (
    PartitionRecorder,
    Skipped,
    dimension_of,
    session_of,
)
from trading_assets.settings import Settings
from trading_assets.trading_desk import TradingDesk

NAMES = ("order_batch", "order_routing", "reconciliation", "portfolio_worth")
# A deployment limits this pool to one run at a time: two runs for one account would wait for each other's broker.
ORDERS_POOL = "orders"


def order_assets(settings: Settings, partitions: dg.MultiPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """order_batch, order_routing, reconciliation and portfolio_worth, in one step.

    They are one step because a session's orders depend on what the sessions before earned: within a run over a range each
    session is built, routed and valued before the next one is built. Each can still be materialised alone.
    """
    sources = [
        "trading/orders", "trading/risk", "trading/replay", "trading/portfolio.py", "resources/router", "resources/reconcile",
        "resources/intake.py", "trading_assets/orders.py", "trading_assets/trading_desk.py",
    ]  # fmt: skip
    spec = partial(asset_spec, sources=sources, partitions=partitions)
    bars = sorted(BAR_ASSETS.values())
    specs = [
        spec(
            "order_batch",
            group="orders",
            description="Order intents of an account from the signals of the variants that stand on its stage: OCO "
            "brackets, sized and rounded by the replay's own code, each with its lineage. Also as CSV, a row a leg.",
            deps=["signals", "promotion_decision", "corporate_actions", *bars],
        ),
        spec(
            "order_routing",
            group="orders",
            description="What became of the batch: every event and fill that the ledger recorded. Safe to repeat: an order "
            "is sent once, whatever is killed or retried.",
            deps=["order_batch", *bars],
            kinds=("ledger", "parquet"),
        ),
        spec(
            "reconciliation",
            group="orders",
            description="Where the broker and the ledger disagree on positions, orders and stops; empty when all is well.",
            deps=["order_routing"],
            kinds=("ledger", "parquet"),
        ),
        spec(
            "portfolio_worth",
            group="portfolio",
            description="Worth of each book of the account at the session's close; append-only, recomputable from fills.",
            deps=["order_routing"],
            kinds=("ledger", "parquet"),
        ),
    ]

    @dg.multi_asset(
        name="trading_day",
        pool=ORDERS_POOL,
        specs=specs,
        check_specs=[contract_check(name) for name in NAMES],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def trading_day(
        context: dg.AssetExecutionContext,
        lake: LakeResource,
        ledger: LedgerResource,
        brokers: BrokerResource,
        alerts: AlertsResource,
        clock: ClockResource,
    ) -> Iterator[dg.MaterializeResult[Any]]:
        publisher = lake.publisher(context, platform_version(), clock.now)
        selected = [name for name in NAMES if dg.AssetKey(name) in context.selected_asset_keys]
        recorders = {name: PartitionRecorder(context, name) for name in selected}
        link = f"{alerts.ui_url}/runs/{context.run.run_id}"
        desk = TradingDesk(settings, publisher, ledger.open(), brokers, alerts.open(), link)
        stopped: dict[str, str] = {}
        order_log = settings.home / "logs" / "orders.jsonl"
        for key in sorted(context.partition_keys, key=lambda found: (session_of(found), found)):
            account, session = dimension_of(key, "account"), dt.date.fromisoformat(session_of(key))
            for name in selected:
                if account in stopped:
                    recorders[name].record(key, Skipped(stopped[account]))
                    continue
                try:
                    with json_log_file(order_log, fields={"run_id": context.run.run_id}):
                        outcome = desk.steps[name](account, session)
                    recorders[name].record(key, outcome)
                except Exception as error:  # whatever is wrong with one account, the others trade on
                    if not isinstance(error, TradingError):
                        context.log.exception(f"{name} {key}")
                        error = OrderError(f"{name} {account} {session}: {type(error).__name__}: {error}")
                    recorders[name].record(key, error)
                    # sessions are routed in order, each once: what failed is mended before the account goes on
                    stopped[account] = f"account {account} stopped at {name} of session {session}: {error}"
        for name in selected:
            yield recorders[name].finish()

    return [trading_day]
