"""What holds for every batch, whatever the signals, instruments, sizing and limits."""

import datetime as dt
import io
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trading.accounts import AccountConfig
from trading.contracts import validate
from trading.instruments import Instrument
from trading.orders import Lineage, OrderIntent, batch_frame, build_intents, legs_csv, legs_frame, within_budget
from trading.orders.batch import LEG_COLUMNS
from trading.replay import ReplayConfig
from trading.sessions import get_calendar
from trading.sizing import quantity
from trading.ticks import exact

CALENDAR = get_calendar("XNYS")
EARLY_CLOSE = dt.date(2023, 11, 24)  # 18:00 UTC
SESSIONS = [EARLY_CLOSE, dt.date(2024, 3, 1), dt.date(2024, 3, 8)]
SYMBOLS = ["AAA", "BBB", "CCC"]
SPEC_COLUMNS = "oco_id,order_ref,idempotency_key,Symbol,side,type,qty,price,tif,valid_from,valid_to,reason"


@dataclass(frozen=True)
class Traded:
    name: str
    replay: ReplayConfig
    timeframe: str = "5m"
    strategy_version: str = "s1"
    config_hash: str = "c1"


@dataclass(frozen=True)
class Case:
    session: dt.date
    account: AccountConfig
    variants: list[Traded]
    signals: dict[str, pl.DataFrame]
    instruments: dict[str, Instrument]
    equity: dict[str, float] = field(default_factory=dict)

    def built(self) -> list[OrderIntent]:
        found: list[OrderIntent] = []
        for variant in self.variants:
            found += build_intents(
                self.signals[variant.name], variant=variant, account=self.account, session=self.session,
                equity=self.equity[variant.name], instruments=self.instruments, calendar=CALENDAR,
                lineage=Lineage({"signals": "a" * 40, "m5_bars": "b" * 40}, "1.0", variant.config_hash, "d1"),
            )  # fmt: skip
        return found


SIZINGS = st.one_of(
    st.builds(lambda p, m: {"mode": "risk", "risk_pct": p, "max_pos_pct": m}, st.floats(0.1, 5), st.floats(1, 100)),
    st.builds(lambda p: {"mode": "pct_of_equity", "pos_pct": p}, st.floats(1, 100)),
)


@st.composite
def instruments(draw: st.DrawFn, symbol: str) -> Instrument:
    tick = draw(st.sampled_from([0.01, 0.05, 0.25, 0.0001]))
    lot = draw(st.sampled_from([1, 10, 0.1, 0.001]))
    return Instrument(symbol=symbol, tick_size=tick, lot_size=lot, min_qty=draw(st.sampled_from([1, 2])) * lot)


@st.composite
def signal_frames(draw: st.DrawFn, session: dt.date) -> pl.DataFrame:
    bars = CALENDAR.minutes(session) // 5
    rows = []
    moments = st.tuples(st.sampled_from(SYMBOLS), st.integers(0, bars - 1))
    for symbol, bar in draw(st.lists(moments, unique=True, max_size=8)):
        level, width = draw(st.floats(5, 500)), draw(st.floats(0.2, 3))
        both, has_target = draw(st.sampled_from(["both", "long", "short"])), draw(st.booleans())
        long, short = both != "short", both != "long"
        rows.append(
            (
                symbol, CALENDAR.open(session) + dt.timedelta(minutes=5 * bar),
                level + width if long else None, level - width if long else None,
                level + 3 * width if long and has_target else None,
                level - width if short else None, level + width if short else None,
                level - 3 * width if short and has_target and level > 3 * width + 1 else None,
            )
        )  # fmt: skip
    names = ["long_entry", "sl_long", "tp_long", "short_entry", "sl_short", "tp_short"]
    schema = {"Symbol": pl.String, "Timestamp": pl.Datetime("us", "UTC"), **dict.fromkeys(names, pl.Float64)}
    return pl.DataFrame(rows, schema=schema, orient="row")


@st.composite
def cases(draw: st.DrawFn) -> Case:
    session = draw(st.sampled_from(SESSIONS))
    names = ["v", "w"]
    options: dict[str, Any] = {
        "moc_guard_minutes": draw(st.sampled_from([0, 10, 15])),
        "flatten_minutes": draw(st.sampled_from([0, 5, 20])),
    }
    account = AccountConfig.model_validate({"name": "a", "variants": {n: {"capital": 1e4} for n in names}} | options)
    variants = [
        Traded(
            name,
            ReplayConfig.model_validate({"sizing": draw(SIZINGS), "valid_sessions": draw(st.sampled_from([0, 0, 1]))}),
        )
        for name in names
    ]
    frames = {name: draw(signal_frames(session)) for name in names}
    grid = {symbol: draw(instruments(symbol)) for symbol in SYMBOLS}
    return Case(session, account, variants, frames, grid, {name: draw(st.floats(100, 1e6)) for name in names})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_every_batch(case: Case) -> None:
    intents = case.built()
    replay = {variant.name: variant.replay for variant in case.variants}
    validate(batch_frame(intents), "order_batch")
    assert len({i.idempotency_key for i in intents}) == len({i.order_ref for i in intents}) == len(intents)

    setups: dict[str, list[OrderIntent]] = {}
    for intent in intents:
        setups.setdefault(intent.oco_id, []).append(intent)
    for sides in setups.values():  # OCO coherence: sides of one setup, each once
        assert len({(i.variant, i.symbol, i.setup_time, i.valid_from, i.valid_to) for i in sides}) == 1
        assert sorted(i.side for i in sides) in ([1], [-1], [-1, 1])
    per_setup = [(s[0].variant, s[0].symbol, s[0].setup_time) for s in setups.values()]
    assert len(set(per_setup)) == len(per_setup)

    for intent in intents:
        grid, config = case.instruments[intent.symbol], replay[intent.variant]
        for price in (intent.entry, intent.stop, intent.target):
            assert price is None or exact(price) % exact(grid.tick_size) == 0
        assert exact(intent.qty) % exact(grid.lot_size) == 0 and intent.qty >= grid.min_qty
        assert intent.side * (intent.entry - intent.stop) > 0  # every entry has a stop behind it
        # the replay's own sizing, at its rounded levels
        assert intent.qty == quantity(
            config.sizing, entry=intent.entry, stop=intent.stop, equity=case.equity[intent.variant], instrument=grid
        )
        if config.sizing.mode == "risk":
            limit = exact(case.equity[intent.variant]) * exact(config.sizing.risk_pct) / 100
            assert exact(intent.qty) * abs(exact(intent.entry) - exact(intent.stop)) <= limit
        close = CALENDAR.close(case.session if not config.valid_sessions else CALENDAR.next(case.session))
        assert intent.valid_to == close - dt.timedelta(minutes=case.account.moc_guard_minutes)
        assert intent.setup_time < intent.valid_from < intent.valid_to
        assert set(intent.lineage.commits) == {"signals", "m5_bars"} and intent.lineage.decision_id == "d1"

    assert [i.idempotency_key for i in case.built()] == [i.idempotency_key for i in intents]
    _legs(case, intents)


def _legs(case: Case, intents: list[OrderIntent]) -> None:
    text = legs_csv(intents)
    assert text.splitlines()[0] == SPEC_COLUMNS == ",".join(LEG_COLUMNS)
    legs = pl.read_csv(io.StringIO(text)) if intents else legs_frame([])
    by_key = {intent.idempotency_key: intent for intent in intents}
    for (key,), group in legs.group_by("idempotency_key"):
        intent, rows = by_key[str(key)], {row["reason"]: row for row in group.iter_rows(named=True)}
        exits = (
            {"sl"} | ({"tp"} if intent.target is not None else set()) | ({"flatten"} if intent.flatten_at else set())
        )
        assert rows.keys() == {"entry"} | exits and group.height == len(rows)
        assert rows["entry"]["side"] == ("BUY" if intent.side > 0 else "SELL")
        assert {rows[name]["side"] for name in exits} == {"SELL" if intent.side > 0 else "BUY"}
        assert {rows[name]["oco_id"] for name in exits} == {f"{intent.order_ref}-X"} != {rows["entry"]["oco_id"]}
        assert {float(row["qty"]) for row in rows.values()} == {intent.qty}
    flattened = [i for i in intents if i.flatten_at is not None]
    for intent in flattened:
        before = (CALENDAR.close(case.session) - intent.flatten_at).total_seconds() / 60
        assert before == case.account.flatten_minutes > 0
        guard = case.account.moc_guard_minutes
        assert intent.flatten_type == ("MOC" if 0 < guard <= before else "MKT")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases(), st.floats(0.01, 20))
def test_a_batch_risks_no_more_than_the_account_allows(case: Case, limit: float) -> None:
    intents = case.built()
    equity = sum(case.equity.values())
    budget = within_budget(intents, equity=equity, max_batch_risk_pct=limit)
    worst: dict[str, Fraction] = {}
    for intent in budget.kept:
        risk = exact(intent.qty) * abs(exact(intent.entry) - exact(intent.stop))
        worst[intent.oco_id] = max(worst.get(intent.oco_id, Fraction(0)), risk)
    room = exact(equity) * exact(limit) / 100
    assert sum(worst.values()) <= room and budget.at_risk == float(sum(worst.values()))
    assert sorted([*budget.kept, *budget.left_out], key=intents.index) == intents
    assert {i.oco_id for i in budget.kept}.isdisjoint(
        i.oco_id for i in budget.left_out
    )  # a setup is whole or not there
    for intent in budget.left_out:
        sides = [i for i in intents if i.oco_id == intent.oco_id]
        assert max(exact(i.qty) * abs(exact(i.entry) - exact(i.stop)) for i in sides) + sum(worst.values()) > room
    assert within_budget(intents, equity=equity, max_batch_risk_pct=None).kept == tuple(intents)
