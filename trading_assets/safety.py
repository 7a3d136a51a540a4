"""What watches over money and data: promote-if-green, the kill switch, the lake's upkeep, wired to this installation."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from jobs.approve import approve_job
from jobs.groups import PROMOTION_JOB
from jobs.janitor import janitor_job, janitor_schedule
from jobs.kill_switch import kill_switch_job
from jobs.lake_upkeep import collect_garbage_job, verify_lake_job, verify_lake_schedule
from resources.configurable import BrokerResource, LakeResource, LedgerResource
from sensors.kill_switch import kill_switch_sensor
from sensors.promote import PendingDecision, promote_if_green_sensor
from trading.errors import ConfigError
from trading_assets.configured import readable_accounts, variant_names
from trading_assets.settings import Settings
from trading_assets.win_rates import win_rate_reference

if TYPE_CHECKING:
    from resources.ledger import KillSwitch, Ledger
    from trading.accounts import AccountConfig
    from trading.risk.breakers import Breach


@dataclass(frozen=True)
class Safety:
    """Jobs, schedules and sensors to register."""

    jobs: list[dg.JobDefinition]
    schedules: list[dg.ScheduleDefinition]
    sensors: list[dg.SensorDefinition]


def safety_definitions(settings: Settings, jobs: Mapping[str, UnresolvedAssetJobDefinition]) -> Safety:
    """All of it; nothing here imports a strategy or opens a file while definitions load."""
    # an account whose file is wrong is not traded, and must not keep the others from being stopped
    kill = kill_switch_job(lambda: readable_accounts(settings)[0])
    approval = approve_job(
        lambda lake, ledger, at, name, by, reason: _approve(settings, lake, ledger, at, name, by, reason)
    )
    janitor, verify = janitor_job(), verify_lake_job()
    return Safety(
        jobs=[kill, approval, janitor, verify, collect_garbage_job(settings.storage.retention_days)],
        schedules=[janitor_schedule(janitor), verify_lake_schedule(verify)],
        sensors=[
            promote_if_green_sensor(
                jobs[PROMOTION_JOB], lambda lake, ledger, at: pending_decisions(settings, lake, ledger, at)
            ),
            kill_switch_sensor(
                kill,
                lambda ledger: open_breaches(settings, ledger.open()),
                lambda ledger, brokers: open_stops(settings, ledger.open(), brokers),
            ),
        ],
    )


def pending_decisions(
    settings: Settings, lake: LakeResource, ledger: LedgerResource, at: dt.datetime
) -> list[PendingDecision]:
    """Decisions that the newest backtest of each variant calls for and that the ledger does not have.

    One that lets the variant stay counts too: a row of red sessions leads down only if each of them is on record.
    """
    from resources.lake.reading import Snapshot
    from trading_assets.history import History
    from trading_assets.promotion import DecisionDesk

    opened = lake.open()
    desk = DecisionDesk(settings, History(Snapshot(opened, opened.resolve("main@"))), ledger.open(), at)
    pending = []
    for name in variant_names(settings):
        sessions = desk.history.sessions("backtest", {"variant": name})
        if not sessions:
            continue
        recorded = {decision.decision_id for decision in desk.ledger.decisions(name)}
        for decision in desk.decide(name, sessions[-1]):
            if decision.decision_id not in recorded:
                pending.append(
                    PendingDecision(
                        variant=name,
                        session=sessions[-1].isoformat(),
                        from_stage=decision.from_stage,
                        to_stage=decision.to_stage,
                        decision_id=decision.decision_id,
                    )
                )
                break  # the job takes the session's further steps along
    return pending


def _approve(
    settings: Settings, lake: LakeResource, ledger: LedgerResource, at: dt.datetime, name: str, by: str, reason: str
) -> str:
    from trading_assets.persons import approve, open_desk

    done = approve(open_desk(settings, lake.open(), ledger.open(), at), name, by=by, reason=reason)
    return (
        f"{done.approval.person} approves {name}, version {done.approval.strategy_version}, on evidence "
        f"{done.approval.commit_id[:12]} as of {done.session}"
    )


def open_breaches(settings: Settings, ledger: "Ledger") -> list["Breach"]:
    """Breaches of daily loss and drawdown by the newest recorded worth of each account, and losing streaks of its books."""
    from trading.risk import BookWorth, money_breaches

    found = []
    for config in readable_accounts(settings)[0]:
        worth = ledger.worth(config.name)
        if not worth:
            continue
        session = max(item.session for item in worth)
        newest = {item.variant: item for item in sorted(worth, key=lambda item: item.session)}
        books = {
            variant: BookWorth(
                capital=item.capital,
                # a book that was not traded in the newest session neither won nor lost in it
                start_equity=item.equity - (item.pnl if item.session == session else 0.0),
                equity=item.equity,
            )
            for variant, item in newest.items()
        }
        found += money_breaches(config, session, books)
        found += _losing_streaks(settings, ledger, config, session)
    return found


def _losing_streaks(settings: Settings, ledger: "Ledger", config: "AccountConfig", session: dt.date) -> list["Breach"]:
    from resources.closed_trades import closed_trades
    from trading.risk.breakers import losing_streak, streak_start

    held = {position.order_ref for position in ledger.open_positions(config.name)}
    trades = closed_trades(ledger.fills(config.name), held)
    found = []
    for variant in config.variants:
        own = [trade for trade in trades if trade.variant == variant]
        if len(own) < config.breakers.losing_streak_min_trades:
            continue
        try:
            reference = win_rate_reference(settings, ledger, variant)
        except ConfigError:
            continue  # what cannot be read is not traded, and must not keep the others from being stopped
        if reference is None:
            continue
        since = streak_start(reference.since, ledger.last_release(f"book:{config.name}/{variant}"))
        pnls = [trade.pnl for trade in own if trade.session > since]
        wins = sum(pnl > 0 for pnl in pnls)
        breach = losing_streak(config, variant, session, trades=len(pnls), wins=wins, reference_rate=reference.rate)
        found += [] if breach is None else [breach]
    return found


def open_stops(settings: Settings, ledger: "Ledger", brokers: BrokerResource) -> list["KillSwitch"]:
    """Engaged switches in whose scope something is still open at a broker that answers."""
    from resources.kill_switch import unfinished

    if not ledger.engaged_switches():
        return []
    opened, _ = brokers.open_all(readable_accounts(settings)[0])
    return unfinished(ledger, opened)
