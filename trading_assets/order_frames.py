"""Ledger records as frames for the lake; the ledger's `at` is `time` there, because AT is a word of SQL."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from resources.ledger import Fill, OrderEvent, Position, RiskEvent, Worth

_INSTANT = pl.Datetime("us", "UTC")
_WORTH = (
    "capital", "realised", "unrealised", "equity", "pnl", "peak", "drawdown", "realised_pnl", "fees", "long_exposure",
    "short_exposure",
)  # fmt: skip


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


def worth_frame(worth: Sequence["Worth"], currency: str) -> pl.DataFrame:
    """One row per book; money in the account's currency."""
    return pl.DataFrame(
        [
            {
                "account": item.account,
                "variant": item.variant,
                "session": item.session,
                **{name: getattr(item, name) for name in _WORTH},
                "gross_exposure": _total(item.long_exposure, item.short_exposure),
                "net_exposure": _total(item.long_exposure, item.short_exposure, sign=-1),
                "trades": item.trades,
                "currency": currency,
            }
            for item in worth
        ],
        schema={
            "account": pl.String,
            "variant": pl.String,
            "session": pl.Date,
            **dict.fromkeys((*_WORTH, "gross_exposure", "net_exposure"), pl.Float64),
            "trades": pl.Int64,
            "currency": pl.String,
        },
    )


def _total(long: float | None, short: float | None, sign: int = 1) -> float | None:
    return None if long is None or short is None else long + sign * short


def positions_frame(positions: Sequence["Position"], currency: str) -> pl.DataFrame:
    """One row per bracket that was held at the session's close; money in the account's currency."""
    return pl.DataFrame(
        [
            {
                "account": item.account,
                "variant": item.variant,
                "session": item.session,
                "order_ref": item.order_ref,
                "Symbol": item.symbol,
                "side": item.side,
                "qty": item.qty,
                "entry_price": item.entry_price,
                "last_price": item.last_price,
                "unrealised": item.unrealised,
                "exposure": item.exposure,
                "currency": currency,
            }
            for item in positions
        ],
        schema={
            "account": pl.String,
            "variant": pl.String,
            "session": pl.Date,
            "order_ref": pl.String,
            "Symbol": pl.String,
            "side": pl.Int8,
            **dict.fromkeys(("qty", "entry_price", "last_price", "unrealised", "exposure"), pl.Float64),
            "currency": pl.String,
        },
    )
