"""What the pages show, as plain records: whoever fills them decides what is true, the pages decide how it
looks.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

from trading.ports.alerts import Alert

GateStatus = Literal["pass", "fail", "insufficient"]


@dataclass(frozen=True)
class Picture:
    """A PNG (bytes) with the text that stands for it where it cannot be seen."""

    png: bytes
    alt: str


@dataclass(frozen=True)
class VariantRow:
    """One variant over one horizon; money in currency, win_rate and max_drawdown as fractions, None: not
    defined.
    """

    variant: str
    horizon: str
    num_trades: int
    net_pnl: float
    win_rate: float | None = None
    profit_factor: float | None = None
    max_drawdown: float | None = None
    sharpe: float | None = None
    insufficient: str = ""
    """Why the horizon cannot be judged, e.g. ``data from 2023-10-02 only``; empty where it can."""


@dataclass(frozen=True)
class GateRow:
    """One promotion gate with the figure it saw and what it is held against."""

    name: str
    status: GateStatus
    value: float | int | str | bool | None = None
    threshold: float | int | str | bool | None = None
    detail: str = ""


@dataclass(frozen=True)
class DecisionRow:
    """Where a variant stands after the session, and the gates between it and the next stage."""

    variant: str
    from_stage: str
    to_stage: str
    decided_by: str
    reason: str
    decision_id: str = ""
    gates: Sequence[GateRow] = ()


@dataclass(frozen=True)
class OrderRow:
    """One order of the session's batch and what became of it; side 1 long, -1 short."""

    order_ref: str
    account: str
    variant: str
    symbol: str
    side: int
    qty: float
    entry: float
    sl: float | None
    tp: float | None
    state: str
    entry_price: float | None = None
    exit_price: float | None = None
    exit_reason: str = ""
    pnl: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class FaultRow:
    """Something wrong with data: where, what, the figure and its limit."""

    asset: str
    symbol: str
    what: str
    figure: str = ""
    limit: str = ""


@dataclass(frozen=True)
class SessionReport:
    """Everything on one session's page.

    Attributes:
        label: a banner over everything, e.g. ``SYNTHETIC market``; None on real data.
        pinned: what the page was made from, by name: lake commit, code version, config hash.
        tear_sheets: links by variant, relative to the page.
    """

    session: dt.date
    label: str | None = None
    currency: str = "USD"
    variants: Sequence[VariantRow] = ()
    decisions: Sequence[DecisionRow] = ()
    orders: Sequence[OrderRow] = ()
    faults: Sequence[FaultRow] = ()
    alerts: Sequence[Alert] = ()
    pictures: Sequence[Picture] = ()
    pinned: Mapping[str, str] = field(default_factory=dict)
    tear_sheets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TearSheet:
    """One variant as of a session.

    Attributes:
        title: e.g. the text of `run_label`.
        metrics: by horizon, `ReplayResult.metrics` each.
        trades: `ReplayResult.trades` of the longest horizon.
        params: the variant's settings, by name.
    """

    variant: str
    title: str
    session: dt.date
    metrics: Mapping[str, Mapping[str, Any]]
    trades: pl.DataFrame
    label: str | None = None
    currency: str = "USD"
    timezone: str = "UTC"
    pictures: Sequence[Picture] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    pinned: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class IndexRow:
    """One session in the list of pages; ``href`` is relative to the index."""

    session: dt.date
    href: str
    variants: int
    orders: int
    filled: int
    pnl: float | None
    faults: int
    alerts: int
    moved: str = ""
    """Stage changes of the session, e.g. ``risk1: lab → paper``."""
