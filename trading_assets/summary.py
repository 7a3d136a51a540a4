"""What an installation holds, in the figures that a person asks for first."""

import datetime as dt
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from trading_assets.bars import BAR_ASSETS
from trading_assets.configured import account_names, variant_names
from trading_assets.configured import variant as load_variant
from trading_assets.history import History
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from resources.ledger import Ledger, OrderStory


@dataclass(frozen=True)
class VariantSummary:
    """One variant as of its newest backtest; money in the account's currency."""

    name: str
    label: str
    signals: int
    horizon: str
    trades: int
    net_pnl: float | None
    decisions: int
    stage: str


@dataclass(frozen=True)
class BatchSummary:
    """An account's newest batch that holds an order, and what became of each."""

    account: str
    session: dt.date
    fates: Counter[str]
    example: "OrderStory | None"


@dataclass(frozen=True)
class Summary:
    """Counts of what is on main and in the ledger."""

    commit: str
    sessions: list[dt.date]
    bars: dict[str, int]
    variants: list[VariantSummary]
    batches: list[BatchSummary] = field(default_factory=list)
    worth: dict[str, float] = field(default_factory=dict)


def summarise(settings: Settings) -> Summary:
    """Read it all at main's head; nothing is written."""
    from resources.lake import open_lake
    from resources.lake.reading import Snapshot
    from resources.ledger import Ledger

    lake = open_lake(settings.lake_uri)
    history = History(Snapshot(lake, lake.resolve("main@")))
    ledger = Ledger(settings.ledger_url)
    names = ["m1_bars", *BAR_ASSETS.values()]
    batches = [batch for account in account_names(settings) if (batch := _last_batch(ledger, account))]
    return Summary(
        commit=history.pinned,
        sessions=history.sessions("m1_bars"),
        bars={name: _rows(history, name) for name in names},
        variants=[_variant(settings, history, ledger, name) for name in variant_names(settings)],
        batches=batches,
        worth={account: _equity(ledger, account) for account in account_names(settings)},
    )


def _rows(history: History, dataset: str, variant: str | None = None) -> int:
    fixed = {"variant": variant} if variant else None
    days = history.sessions(dataset, fixed)
    if not days:
        return 0
    partitions = [{"session": day.isoformat(), **(fixed or {})} for day in days]
    return int(history.snapshot.scan(dataset, partitions).select(pl.len()).collect().item())


def _variant(settings: Settings, history: History, ledger: "Ledger", name: str) -> VariantSummary:
    from trading_assets.stages import stage_at

    days = history.sessions("backtest", {"variant": name})
    trades, pnl, horizon, label = 0, None, "none", load_variant(settings, name).label or name
    if days:
        partition = {"session": days[-1].isoformat(), "variant": name}
        longest = history.snapshot.frame("backtest", partition).row(-1, named=True)
        trades, pnl, horizon = longest["num_trades"], longest["net_pnl"], longest["horizon"]
        label = history.snapshot.content("backtest", partition, "label.txt").decode().strip()
    decisions = ledger.decisions(name)
    return VariantSummary(
        name=name,
        label=label,
        signals=_rows(history, "signals", name),
        horizon=horizon,
        trades=trades,
        net_pnl=pnl,
        decisions=len(decisions),
        stage=stage_at(settings, ledger, name).stage,
    )


def _last_batch(ledger: "Ledger", account: str) -> BatchSummary | None:
    intents = ledger.intents(None, account)
    if not intents:
        return None
    session = max(intent.session for intent in intents)
    states = ledger.states(account, session)
    fills = ledger.fills(account)
    left = {fill.order_ref: fill.reason for fill in fills if fill.leg == "exit"}
    fates = Counter(
        f"{state.value}, out by {left[intent.order_ref]}" if intent.order_ref in left else str(state.value)
        for intent, state in states.values()
    )
    filled = {fill.order_ref for fill in fills}
    chosen = next((i for i, _ in states.values() if i.order_ref in filled), next(iter(states.values()))[0])
    return BatchSummary(account, session, fates, ledger.intent(chosen.order_ref))


def _equity(ledger: "Ledger", account: str) -> float:
    newest: dict[str, float] = {}
    for worth in ledger.worth(account):
        newest[worth.variant] = worth.equity
    return sum(newest.values())


def as_json(summary: Summary) -> str:
    """The summary for programs; times and dates in ISO 8601."""
    content = {
        "commit": summary.commit,
        "sessions": [day.isoformat() for day in summary.sessions],
        "bars": summary.bars,
        "variants": [vars(variant) for variant in summary.variants],
        "batches": [
            {"account": batch.account, "session": batch.session.isoformat(), "fates": dict(batch.fates)}
            for batch in summary.batches
        ],
        "worth": summary.worth,
    }
    return json.dumps(content, indent=1)
