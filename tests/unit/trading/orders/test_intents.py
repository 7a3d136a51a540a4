import datetime as dt
from dataclasses import dataclass, replace

import polars as pl
import pytest

from trading.accounts import AccountConfig
from trading.contracts import validate
from trading.errors import ConfigError, ContractViolation, OrderError
from trading.instruments import Instrument
from trading.orders import (
    Lineage,
    batch_frame,
    build_intents,
    flatten_type,
    idempotency_key,
    intents_from_batch,
    legs_csv,
    legs_frame,
)
from trading.orders.lifecycle import TRANSITIONS, IllegalTransition, OrderState, check_transition
from trading.replay import ReplayConfig
from trading.sessions import get_calendar

DAY = dt.date(2024, 3, 1)
OPEN = dt.datetime(2024, 3, 1, 14, 30, tzinfo=dt.UTC)
INSTRUMENTS = {
    "AAA": Instrument(symbol="AAA"),
    "BBB": Instrument(symbol="BBB", tick_size=0.05, lot_size=10, min_qty=10),
}
ACCOUNT = AccountConfig.model_validate({"name": "paper", "variants": {"v": {"capital": 10_000}, "w": {"capital": 500}}})


RISK = ReplayConfig.model_validate({"sizing": {"mode": "risk", "risk_pct": 1.0, "max_pos_pct": 100.0}})


@dataclass(frozen=True)
class Traded:
    name: str = "v"
    timeframe: str = "5m"
    strategy_version: str = "s1"
    config_hash: str = "c1"
    replay: ReplayConfig = RISK


def signals(*rows: tuple[object, ...]) -> pl.DataFrame:
    names = ["Symbol", "Timestamp", "long_entry", "sl_long", "tp_long", "short_entry", "sl_short", "tp_short"]
    schema = {"Symbol": pl.String, "Timestamp": pl.Datetime("us", "UTC"), **dict.fromkeys(names[2:], pl.Float64)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def build(frame: pl.DataFrame, *, variant: Traded | None = None, account: AccountConfig = ACCOUNT, session=DAY, **more):
    options = {
        "equity": 10_000.0, "instruments": INSTRUMENTS, "calendar": get_calendar("XNYS"),
        "lineage": Lineage({"signals": "abc"}, "1.0", "c1", "d1"),
    }  # fmt: skip
    return build_intents(frame, variant=variant or Traded(), account=account, session=session, **(options | more))


BOTH = ("AAA", OPEN, 100.001, 98.009, 104.0, 97.999, 99.001, None)


def test_levels_and_sizes_are_the_replay_s() -> None:
    long, short = build(signals(BOTH))
    # long: 100.001 up, 98.009 down; 10,000 * 1 % / 2.01 = 49.75; short: 97.999 down, 99.001 up: 100 / 1.02 = 98.04
    assert (long.side, long.entry, long.stop, long.target, long.qty) == (1, 100.01, 98.0, 104.0, 49.0)
    assert (short.side, short.entry, short.stop, short.target, short.qty) == (-1, 97.99, 99.01, None, 98.0)
    assert long.oco_id == short.oco_id and long.order_ref != short.order_ref
    assert long.order_ref == long.idempotency_key[:16]
    assert (long.valid_from, long.valid_to) == (OPEN + dt.timedelta(minutes=5), OPEN.replace(hour=21, minute=0))
    assert long.lineage.commits == {"signals": "abc"} and long.tif == "GTD"


def test_a_side_under_the_smallest_quantity_is_absent() -> None:
    # BBB: lots of 10; 1 % of 1,000 over 1.00 = 10 shares long, over 1.05 = 9.5 -> 0 short
    frame = signals(("BBB", OPEN, 50.0, 49.0, None, 50.0, 51.05, None))
    assert [(i.side, i.qty) for i in build(frame, equity=1_000.0)] == [(1, 10.0)]


@pytest.mark.parametrize(
    ("session", "valid_sessions", "guard", "expected"),
    [
        (dt.date(2024, 3, 1), 0, 0, dt.datetime(2024, 3, 1, 21, 0, tzinfo=dt.UTC)),
        (dt.date(2024, 3, 8), 1, 0, dt.datetime(2024, 3, 11, 20, 0, tzinfo=dt.UTC)),  # the clock change lies between
        (dt.date(2023, 11, 24), 0, 0, dt.datetime(2023, 11, 24, 18, 0, tzinfo=dt.UTC)),  # early close
        (dt.date(2023, 11, 22), 1, 15, dt.datetime(2023, 11, 24, 17, 45, tzinfo=dt.UTC)),  # over Thanksgiving
    ],
)
def test_validity_ends_with_the_session(session, valid_sessions: int, guard: int, expected: dt.datetime) -> None:
    at = get_calendar("XNYS").open(session)
    config = Traded().replay.model_copy(update={"valid_sessions": valid_sessions})
    account = ACCOUNT.model_copy(update={"moc_guard_minutes": float(guard)})
    (intent,) = build(
        signals(("AAA", at, 100.0, 99.0, None, None, None, None)),
        variant=replace(Traded(), replay=config), account=account, session=session,
    )  # fmt: skip
    assert intent.valid_to == expected and intent.valid_to.utcoffset() == dt.timedelta(0)


def test_what_is_known_only_at_the_close_cannot_be_an_order() -> None:
    last = OPEN.replace(hour=20, minute=55)
    rows = signals(("AAA", last, 100.0, 99.0, None, None, None, None))
    assert build(rows) == []
    assert len(build(rows, variant=replace(Traded(), replay=ReplayConfig(valid_sessions=1)))) == 1


def test_keys_tell_books_apart_and_nothing_else() -> None:
    frame = signals(BOTH)
    again = build(frame, equity=99_999.0)
    assert [i.idempotency_key for i in again] == [i.idempotency_key for i in build(frame)]
    other = build(frame, variant=replace(Traded(), name="w"))
    newer = build(frame, variant=replace(Traded(), strategy_version="s2"))
    assert len({i.idempotency_key for i in [*again, *other, *newer]}) == 6
    berlin = dt.timezone(dt.timedelta(hours=1))
    key = idempotency_key("paper", "v", "s1", "AAA", OPEN.astimezone(berlin), 1)
    assert key == again[0].idempotency_key


def test_the_batch_keeps_its_contract_and_comes_back() -> None:
    intents = build(signals(BOTH, ("BBB", OPEN, 50.0, 49.0, None, None, None, None)))
    frame = validate(batch_frame(intents), "order_batch")
    assert intents_from_batch(frame) == intents
    assert validate(batch_frame([]), "order_batch").height == 0
    with pytest.raises(ContractViolation, match="key_unique"):
        validate(pl.concat([frame, frame.with_columns(order_ref=pl.col("order_ref") + "x")]), "order_batch")
    with pytest.raises(ContractViolation, match="stop"):
        validate(frame.with_columns(stop=pl.col("entry")), "order_batch")


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("Symbol", "BBB", "oco_setup"),
        ("valid_to", OPEN + dt.timedelta(hours=1), "oco_setup"),
        ("side", 1, "oco_sides"),
        ("flatten_at", OPEN, "flatten"),
    ],
)
def test_the_batch_s_contract_knows_what_belongs_together(column: str, value: object, rule: str) -> None:
    frame = batch_frame(build(signals(BOTH)))
    first = pl.int_range(pl.len()) == 1
    changed = pl.when(first).then(pl.lit(value, frame.schema[column])).otherwise(pl.col(column)).alias(column)
    levels = (pl.lit(200.0).alias("entry"), pl.lit(199.0).alias("stop"), pl.lit(None, pl.Float64).alias("target"))
    broken = frame.with_columns(changed, *(levels if column == "side" else ()))
    with pytest.raises(ContractViolation, match=rule):
        validate(broken, "order_batch")


@pytest.mark.parametrize(
    ("keep", "change", "rule"),
    [
        (pl.col("reason") != "sl", {}, "one_stop"),
        (pl.col("reason") != "entry", {}, "one_entry"),
        (pl.lit(True), {"side": pl.lit("BUY")}, "exit_side"),
        (pl.lit(True), {"price": pl.lit(None, pl.Float64)}, "price"),
        (pl.lit(True), {"valid_to": pl.lit(None, pl.Datetime("us", "UTC"))}, "gtd"),
        (pl.lit(True), {"order_ref": pl.lit("r")}, "ref_unique"),
    ],
)
def test_legs_keep_their_contract(keep: pl.Expr, change: dict[str, pl.Expr], rule: str) -> None:
    legs = validate(legs_frame(build(signals(BOTH))), "order_legs")
    with pytest.raises(ContractViolation, match=rule):
        validate(legs.filter(keep).with_columns(**change), "order_legs")


CLOSE = OPEN.replace(hour=21, minute=0)


@pytest.mark.parametrize(
    ("minutes_before", "guard", "by"),
    [(15, 10, "MOC"), (10, 10, "MOC"), (9.99, 10, "MKT"), (5, 15, "MKT"), (15, 0, "MKT"), (0, 0, "MKT")],
)
def test_a_market_on_close_order_after_the_cut_off_is_a_market_order(
    minutes_before: float, guard: float, by: str
) -> None:
    assert flatten_type(CLOSE - dt.timedelta(minutes=minutes_before), CLOSE, guard) == by


def test_flattening_is_told_ahead_of_an_early_close_and_goes_out_as_a_leg() -> None:
    friday = dt.date(2023, 11, 24)  # closes at 18:00 UTC
    at = get_calendar("XNYS").open(friday)
    account = ACCOUNT.model_copy(update={"flatten_minutes": 15.0, "moc_guard_minutes": 10.0})
    row = signals(("AAA", at, 100.0, 99.0, 103.0, None, None, None))
    (intent,) = build(row, account=account, session=friday)
    assert (intent.flatten_type, intent.flatten_at) == ("MOC", dt.datetime(2023, 11, 24, 17, 45, tzinfo=dt.UTC))
    assert intent.valid_to == dt.datetime(2023, 11, 24, 17, 50, tzinfo=dt.UTC)
    last = legs_frame([intent]).row(-1, named=True)
    assert (last["side"], last["type"], last["price"], last["reason"]) == ("SELL", "MOC", None, "flatten")
    assert last["valid_from"] == intent.flatten_at and last["oco_id"] == f"{intent.order_ref}-X"
    assert f"SELL,MOC,{intent.qty},,DAY,2023-11-24T17:45:00" in legs_csv([intent])
    over_night = replace(Traded(), replay=RISK.model_copy(update={"exit_at_session_end": False}))
    assert build(row, account=account, session=friday, variant=over_night)[0].flatten_at is None


def test_an_account_trades_its_own_currency_alone() -> None:
    euros = {"AAA": Instrument(symbol="AAA", currency="EUR")}
    with pytest.raises(ConfigError, match=r"account paper: its currency is USD, AAA trades in EUR"):
        build(signals(BOTH), instruments=euros)
    assert len(build(signals(BOTH), instruments=euros, account=ACCOUNT.model_copy(update={"currency": "EUR"}))) == 2


def test_a_batch_of_before_flattening_was_told_still_reads() -> None:
    intents = build(signals(BOTH))
    assert intents_from_batch(batch_frame(intents).drop("flatten_at", "flatten_type")) == intents


def test_legs_are_a_row_each() -> None:
    intents = build(signals(BOTH))
    legs = legs_frame(intents)
    shown = legs.select("side", "type", "price", "reason").rows()
    assert shown == [
        ("BUY", "STP", 100.01, "entry"), ("SELL", "STP", 98.0, "sl"), ("SELL", "LMT", 104.0, "tp"),
        ("SELL", "STP", 97.99, "entry"), ("BUY", "STP", 99.01, "sl"),
    ]  # fmt: skip
    assert legs["order_ref"].is_unique().all() and legs["oco_id"].n_unique() == 3
    header, first, *_ = legs_csv(intents).splitlines()
    assert header == "oco_id,order_ref,idempotency_key,Symbol,side,type,qty,price,tif,valid_from,valid_to,reason"
    assert "2024-03-01T14:35:00.000000Z" in first or "2024-03-01T14:35:00Z" in first


def test_what_cannot_be_an_order_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="no book for variant x"):
        build(signals(BOTH), variant=replace(Traded(), name="x"))
    with pytest.raises(ConfigError, match="no instrument for Symbol ZZZ"):
        build(signals(("ZZZ", *BOTH[1:])))
    with pytest.raises(ContractViolation, match="outside of the session"):
        build(signals(("AAA", OPEN - dt.timedelta(minutes=5), *BOTH[2:])))
    with pytest.raises(ContractViolation, match="sl_long missing"):
        build(signals(BOTH).drop("sl_long"))
    with pytest.raises(OrderError, match=r"sl_long 101\.0 must be below long_entry 100\.0"):
        build(signals(("AAA", OPEN, 100.0, 101.0, None, None, None, None)))


def test_an_order_s_moves() -> None:
    for current in OrderState:
        for new in OrderState:
            if new in TRANSITIONS[current]:
                assert check_transition(current, new, order_ref="r") is new
            else:
                with pytest.raises(IllegalTransition, match=f"r is {current} and cannot become {new}"):
                    check_transition(current, new, order_ref="r")
    final = {state for state in OrderState if state.is_final}
    assert final == {"filled", "cancelled", "rejected", "expired"}
    assert not any(state.is_working for state in [*final, OrderState.INTENDED])
    assert OrderState.SUBMITTING not in TRANSITIONS[OrderState.ACKNOWLEDGED]
