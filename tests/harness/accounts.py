"""An installation with several accounts over one seeded session, its upstream published without running it."""

import datetime as dt
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import yaml

from resources.configurable import AlertsResource, BrokerResource, ClockResource, LakeResource, LedgerResource
from resources.lake import open_lake
from resources.lake.publish import Publisher
from resources.ledger import Ledger
from trading.promotion import Decision, Evidence, PromotionPolicy
from trading.promotion.evidence import Approval
from trading.promotion.stages import Stage
from trading.sessions import get_calendar
from trading_assets.configured import promotion_policy, variant
from trading_assets.orders import order_assets
from trading_assets.partitions import by_account, session_partitions
from trading_assets.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
CALENDAR = get_calendar("XNYS")
SESSION = dt.date(2024, 3, 4)
BEFORE = dt.date(2024, 3, 1)
SYMBOLS = ("AAA", "BBB", "CCC")


@dataclass(frozen=True)
class Accounts:
    """A home and a configs folder of its own."""

    settings: Settings

    @classmethod
    def make(cls, folder: Path, accounts: Mapping[str, Mapping[str, Any]]) -> "Accounts":
        """Accounts by name with the content of their files; ``variants`` are needed, all else has defaults."""
        home, configs = folder / "home", folder / "configs"
        shutil.copytree(ROOT / "configs", configs)
        shutil.rmtree(configs / "accounts")
        (configs / "accounts").mkdir()
        for name, content in accounts.items():
            (configs / "accounts" / f"{name}.yml").write_text(yaml.safe_dump(dict(content)))
        (home / "universes").mkdir(parents=True)
        (home / "universes" / "u.yaml").write_text("source: {kind: folder, path: data}\n")
        (home / "platform.yaml").write_text(f"first_session: {BEFORE}\nlast_session: {SESSION}\n")
        made = cls(Settings.load(home, env={"TRADING_CONFIGS": str(configs)}))
        made._publish()
        return made

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.settings.ledger_url)

    def _publish(self) -> None:
        """Bars and signals of the session."""
        publisher = Publisher(
            open_lake(self.settings.lake_uri), run_id="upstream", code_version="1",
            clock=lambda: dt.datetime(2024, 3, 5, tzinfo=dt.UTC),
        )  # fmt: skip
        session = {"session": SESSION.isoformat()}
        bars = seeded_bars(SESSION)
        made = publisher.publish("m5_bars", session, {"data.parquet": bars}, audit=None, inputs={})
        publisher.publish("m1_bars", session, {"data.parquet": bars}, audit=None, inputs={})
        for name in ("fixed1", "risk1"):
            publisher.publish(
                "signals", session | {"variant": name}, {"data.parquet": seeded_signals(bars)}, audit=None,
                inputs={"m5_bars": made.commit_id},
            )  # fmt: skip

    def promote(self, name: str, stage: Stage = "paper", approval: Approval | None = None) -> Decision:
        """Record a decision of the session before that puts the configured version on ``stage``."""
        decided = decision(self.settings, name, stage, approval=approval)
        self.ledger.record_decision(decided.to_dict(), dt.datetime(2024, 3, 1, 22, tzinfo=dt.UTC))
        return decided

    def trade(self, *accounts: str, live: bool = False) -> dict[str, dict[str, str]]:
        """Materialise the session's orders of ``accounts`` in one run; by account, what each asset was refused with."""
        partitions = by_account(session_partitions(self.settings), sorted(accounts))
        resources = {
            "lake": LakeResource(uri=self.settings.lake_uri),
            "ledger": LedgerResource(url=self.settings.ledger_url),
            "brokers": BrokerResource(state_dir=str(self.settings.home / "broker")),
            "alerts": AlertsResource(
                folder=str(self.settings.home / "alerts"),
                channel="c",
                token_env="NO_TOKEN_HERE",
                base_url="",
                ui_url="",
            ),
            "clock": ClockResource(fixed="2024-03-05T01:00:00+00:00"),
        }
        tags = {
            "dagster/asset_partition_range_start": f"{min(accounts)}|{SESSION}",
            "dagster/asset_partition_range_end": f"{max(accounts)}|{SESSION}",
        }
        refused: dict[str, dict[str, str]] = {name: {} for name in accounts}
        with dg.DagsterInstance.ephemeral() as instance:
            defs = dg.Definitions(assets=order_assets(self.settings, partitions), resources=resources)
            job = defs.resolve_implicit_global_asset_job_def()
            result = job.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
            for event in result.all_events:
                if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                    check = event.asset_check_evaluation_data
                    if not check.passed:
                        account = str(check.partition).split("|")[0]
                        refused[account][check.asset_key.to_user_string()] = str(check.description)
        return refused


def decision(
    settings: Settings, name: str, stage: Stage, *, session: dt.date = BEFORE, approval: Approval | None = None
) -> Decision:
    """A decision as the ledger keeps them; its figures are of no interest here."""
    configured = variant(settings, name)
    policy: PromotionPolicy = promotion_policy(settings)
    evidence = Evidence(
        variant=name, strategy_version=configured.strategy_version, config_hash=configured.config_hash, session=session,
        commits={"backtest": "b" * 64}, code_version="1", calendar_version="1", approval=approval,
    )  # fmt: skip
    return Decision(
        evidence=evidence, policy=policy, from_stage="paper" if stage == "live" else "lab", to_stage=stage, gates=(),
        green=True, decided_by="Ada", live_symbols=("AAA",) if stage == "live" else (), reason="for a test",
    )  # fmt: skip


def seeded_bars(session: dt.date) -> pl.DataFrame:
    """Five-minute random walks, contract of m5_bars."""
    rng = np.random.default_rng(11)
    count = CALENDAR.minutes(session) // 5
    frames = []
    for symbol in SYMBOLS:
        path = np.round(
            float(rng.uniform(50, 150)) * np.exp(rng.normal(0, 0.002, (count, 4)).cumsum().reshape(count, 4)), 2
        )
        frames.append(
            pl.DataFrame(
                {
                    "Symbol": [symbol] * count,
                    "Timestamp": [CALENDAR.open(session) + dt.timedelta(minutes=5 * i) for i in range(count)],
                    "Open": path[:, 0],
                    "High": path.max(axis=1),
                    "Low": path.min(axis=1),
                    "Close": path[:, -1],
                    "Volume": [100] * count,
                    "session": [session] * count,
                    "minutes": [5] * count,
                    "complete": [True] * count,
                },
                schema_overrides={"Timestamp": pl.Datetime("us", "UTC"), "minutes": pl.Int32},
            )
        )
    return pl.concat(frames)


def seeded_signals(bars: pl.DataFrame) -> pl.DataFrame:
    """Two-sided brackets around every twelfth Close."""
    close, width = pl.col("Close"), pl.col("Close") * 0.002
    return (
        bars.sort("Symbol", "Timestamp")
        .gather_every(12, offset=3)
        .select(
            "Symbol",
            "Timestamp",
            long_entry=close + width,
            short_entry=close - width,
            sl_long=close - width,
            sl_short=close + width,
            tp_long=close + 4 * width,
            tp_short=close - 4 * width,
        )
    )
