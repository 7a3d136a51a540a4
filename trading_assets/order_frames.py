"""Ledger records as frames for the lake; the ledger's `at` is `time` there, because AT is a word of SQL."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from resources.ledger import Fill, OrderEvent, RiskEvent, Worth

_INSTANT = pl.Datetime("us", "UTC")


def events_frame(events: Sequence["OrderEvent"], session: dt.date) -> pl.DataFrame:
    """One row per order event of a session; ``payload`` is JSON, the gates' figures among it. How long the machine took is
    left out: the lake's content does not depend on it.
    """
    return pl.DataFrame(
        [
            {
                "id": event.id,
                "session": session,
                "time": event.at,
                "account": event.account,
                "variant": event.variant,
                "order_ref": event.order_ref,
                "state": event.state.value,
                "reason": event.reason,
                "payload": json.dumps({k: v for k, v in event.payload.items() if k != "latency_ms"}, sort_keys=True),
            }
            for event in events
        ],
        schema={
            "id": pl.Int64,
            "session": pl.Date,
            "time": _INSTANT,
            **dict.fromkeys(("account", "variant", "order_ref", "state", "reason", "payload"), pl.String),
        },
    )


def fills_frame(fills: Sequence["Fill"]) -> pl.DataFrame:
    """One row per execution; money in the account's currency."""
    return pl.DataFrame(
        [
            {
                "execution_id": fill.execution_id,
                "session": fill.session,
                "time": fill.at,
                "account": fill.account,
                "variant": fill.variant,
                "order_ref": fill.order_ref,
                "Symbol": fill.symbol,
                "leg": fill.leg,
                "side": fill.side,
                "qty": fill.qty,
                "price": fill.price,
                "fee": fill.fee,
                "realised": fill.realised,
                "reason": fill.reason,
            }
            for fill in fills
        ],
        schema={
            "execution_id": pl.String,
            "session": pl.Date,
            "time": _INSTANT,
            **dict.fromkeys(("account", "variant", "order_ref", "Symbol", "leg"), pl.String),
            "side": pl.Int8,
            **dict.fromkeys(("qty", "price", "fee", "realised"), pl.Float64),
            "reason": pl.String,
        },
    )


def differences_frame(found: Sequence["RiskEvent"]) -> pl.DataFrame:
    """One row per difference between broker and ledger."""
    return pl.DataFrame(
        [
            {
                "time": event.at,
                "account": event.account,
                "variant": event.variant,
                "kind": event.kind,
                "detail": event.detail,
                "figures": json.dumps(dict(event.figures), sort_keys=True),
            }
            for event in found
        ],
        schema={"time": _INSTANT, **dict.fromkeys(("account", "variant", "kind", "detail", "figures"), pl.String)},
    )


def worth_frame(worth: Sequence["Worth"]) -> pl.DataFrame:
    """One row per book."""
    money = ("capital", "realised", "unrealised", "equity", "pnl", "peak", "drawdown")
    return pl.DataFrame(
        [
            {
                "account": item.account,
                "variant": item.variant,
                "session": item.session,
                **{name: getattr(item, name) for name in money},
                "trades": item.trades,
            }
            for item in worth
        ],
        schema={
            "account": pl.String,
            "variant": pl.String,
            "session": pl.Date,
            **dict.fromkeys(money, pl.Float64),
            "trades": pl.Int64,
        },
    )
