"""The order batch of an account: intents as a frame under contract, and as CSV legs for people and other stacks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from trading.contracts import INSTANT, Rule, register, table, validate
from trading.orders.intents import OrderIntent, intent_from_row, intent_to_row

if TYPE_CHECKING:
    from pandera.polars import DataFrameSchema

BATCH_COLUMNS: dict[str, Any] = {
    "idempotency_key": pl.String,
    "order_ref": pl.String,
    "oco_id": pl.String,
    "account": pl.String,
    "variant": pl.String,
    "strategy_version": pl.String,
    "Symbol": pl.String,
    "side": pl.Int8,
    "qty": pl.Float64,
    "entry": pl.Float64,
    "stop": pl.Float64,
    "target": pl.Float64,
    "setup_time": INSTANT,
    "session": pl.Date,
    "valid_sessions": pl.Int32,
    "valid_from": INSTANT,
    "valid_to": INSTANT,
    "lineage": pl.String,
    "tif": pl.String,
    "flatten_at": INSTANT,
    "flatten_type": pl.String,
}
LEG_COLUMNS: dict[str, Any] = {
    "oco_id": pl.String,
    "order_ref": pl.String,
    "idempotency_key": pl.String,
    "Symbol": pl.String,
    "side": pl.String,
    "type": pl.String,
    "qty": pl.Float64,
    "price": pl.Float64,
    "tif": pl.String,
    "valid_from": INSTANT,
    "valid_to": INSTANT,
    "reason": pl.String,
}


def batch_frame(intents: Sequence[OrderIntent]) -> pl.DataFrame:
    """One row an intent, contract ``order_batch``, in the intents' order."""
    rows = [{("Symbol" if k == "symbol" else k): v for k, v in intent_to_row(i).items()} for i in intents]
    return pl.DataFrame(rows, schema=BATCH_COLUMNS)


def intents_from_batch(frame: pl.DataFrame) -> list[OrderIntent]:
    """The inverse of :func:`batch_frame`."""
    return [intent_from_row({**row, "symbol": row["Symbol"]}) for row in frame.iter_rows(named=True)]


def legs_frame(intents: Sequence[OrderIntent]) -> pl.DataFrame:
    """One row an order leg, contract ``order_legs``: entry stop, stop-loss, target, and the flattening where it is set.

    Columns as ``LEG_COLUMNS``; ``side`` is BUY or SELL, ``type`` STP, LMT, MOC or MKT, ``price`` in currency and null of
    MOC and MKT. Exits share an OCO group named after their entry, take effect on its fill and stay until one of them or the
    session's flattening closes the position (tif GTC).
    """
    rows: list[dict[str, Any]] = []
    for intent in intents:
        enter, leave = ("BUY", "SELL") if intent.side > 0 else ("SELL", "BUY")
        common = {
            "idempotency_key": intent.idempotency_key,
            "Symbol": intent.symbol,
            "qty": intent.qty,
            "valid_from": intent.valid_from,
        }
        exits = {**common, "oco_id": f"{intent.order_ref}-X", "side": leave, "tif": "GTC", "valid_to": None}
        entry = {**common, "oco_id": intent.oco_id, "order_ref": intent.order_ref, "side": enter, "type": "STP"}
        rows.append({**entry, "price": intent.entry, "tif": intent.tif, "valid_to": intent.valid_to, "reason": "entry"})
        rows.append(
            {**exits, "order_ref": f"{intent.order_ref}-S", "type": "STP", "price": intent.stop, "reason": "sl"}
        )
        if intent.target is not None:
            rows.append(
                {**exits, "order_ref": f"{intent.order_ref}-T", "type": "LMT", "price": intent.target, "reason": "tp"}
            )
        if intent.flatten_at is not None:
            rows.append(
                {
                    **exits,
                    "order_ref": f"{intent.order_ref}-F",
                    "type": intent.flatten_type,
                    "price": None,
                    "tif": "DAY",
                    "valid_from": intent.flatten_at,
                    "reason": "flatten",
                }
            )
    return pl.DataFrame(rows, schema=LEG_COLUMNS)


def legs_csv(intents: Sequence[OrderIntent]) -> str:
    """:func:`legs_frame` as CSV text, times in ISO 8601 UTC. ContractViolation where a leg breaks ``order_legs``."""
    return validate(legs_frame(intents), "order_legs").write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.fZ")


def _order_batch() -> "DataFrameSchema":
    towards = pl.col("side") * (pl.col("entry") - pl.col("stop"))
    reward = pl.col("side") * (pl.col("target") - pl.col("entry"))
    shared = ("account", "variant", "strategy_version", "Symbol", "setup_time", "session", "valid_from", "valid_to")
    one_setup = pl.all_horizontal(*((pl.col(name) == pl.col(name).first()).over("oco_id") for name in shared))
    return table(
        "order_batch",
        BATCH_COLUMNS,
        nullable=["target", "flatten_at", "flatten_type"],
        rules=[
            Rule("side", pl.col("side").is_in([1, -1]), "side must be 1 or -1"),
            Rule("qty", pl.col("qty").is_finite() & (pl.col("qty") > 0), "qty must be finite and above 0"),
            Rule("stop", towards > 0, "the stop must lie behind the entry"),
            Rule("target", reward >= 0, "the target must lie ahead of the entry"),
            Rule("validity", pl.col("valid_from") <= pl.col("valid_to"), "valid_from must not be after valid_to"),
            Rule("key_unique", pl.col("idempotency_key").is_unique(), "every idempotency_key must come once"),
            Rule("ref_unique", pl.col("order_ref").is_unique(), "every order_ref must come once"),
            Rule("oco_setup", one_setup, "orders that share an oco_id must be sides of one setup"),
            Rule("oco_sides", pl.struct("oco_id", "side").is_unique(), "an oco_id must have each side once at most"),
            Rule(
                "flatten",
                pl.col("flatten_at").is_null() == pl.col("flatten_type").is_null(),
                "flatten_at and flatten_type come together",
            ),
        ],
    )


def _order_legs() -> "DataFrameSchema":
    entry = pl.col("reason") == "entry"
    priced = pl.col("type").is_in(["STP", "LMT"])
    stops = (pl.col("reason") == "sl").sum().over("idempotency_key")
    entries = entry.sum().over("idempotency_key")
    turned = (pl.col("side").n_unique().over("idempotency_key")) == 2
    return table(
        "order_legs",
        LEG_COLUMNS,
        nullable=["price", "valid_to"],
        rules=[
            Rule("side", pl.col("side").is_in(["BUY", "SELL"]), "side must be BUY or SELL"),
            Rule("type", pl.col("type").is_in(["STP", "LMT", "MOC", "MKT"]), "type must be STP, LMT, MOC or MKT"),
            Rule("reason", pl.col("reason").is_in(["entry", "sl", "tp", "flatten"]), "reason must be of an order leg"),
            Rule("price", priced == pl.col("price").is_not_null(), "STP and LMT need a price, MOC and MKT have none"),
            Rule("qty", pl.col("qty").is_finite() & (pl.col("qty") > 0), "qty must be finite and above 0"),
            Rule("gtd", entry == pl.col("valid_to").is_not_null(), "an entry, and it alone, ends at valid_to"),
            Rule("one_entry", entries == 1, "every idempotency_key must have one entry"),
            Rule("one_stop", stops == 1, "every entry must have one stop-loss"),
            Rule("exit_side", turned, "exits must be of the other side than their entry"),
            Rule("ref_unique", pl.col("order_ref").is_unique(), "every order_ref must come once"),
        ],
    )


register("order_batch", _order_batch)
register("order_legs", _order_legs)
