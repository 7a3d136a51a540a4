"""One order, one account and one instant in which every pre-trade gate passes, to be changed by a test."""

import csv
import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from trading.accounts import AccountConfig, SpendingWindow
from trading.orders import OrderIntent
from trading.risk.gates import BookResults, Exposure, GateContext, SentOrder, TokenBucket, TradeCounts

AT = dt.datetime(2024, 3, 1, 15, 0, tzinfo=dt.UTC)  # 10:00 in New York
OPEN, CLOSE = AT.replace(hour=14, minute=30), AT.replace(hour=21)
ANSWERS = Path(__file__).parents[1] / "answers" / "gates"


def an_intent(**changes: Any) -> OrderIntent:
    """Buy 10 AAA at 100, stop 99, target 103: 1,000 of notional, 10 at risk."""
    base: dict[str, Any] = {
        "idempotency_key": "k", "order_ref": "r", "oco_id": "o", "account": "paper", "variant": "v",
        "strategy_version": "1", "symbol": "AAA", "side": 1, "qty": 10.0, "entry": 100.0, "stop": 99.0, "target": 103.0,
        "setup_time": AT - dt.timedelta(minutes=5), "session": AT.date(), "valid_sessions": 0, "valid_from": AT,
        "valid_to": CLOSE,
    }  # fmt: skip
    return OrderIntent(**(base | changes))


def an_account(breakers: dict[str, Any] | None = None, **limits: Any) -> AccountConfig:
    return AccountConfig.model_validate(
        {"name": "paper", "variants": {"v": {"capital": 10_000}}, "limits": limits, "breakers": breakers or {}}
    )


def a_context(**changes: Any) -> GateContext:
    """10,000 of equity, the last price 99.5, nothing sent or held before."""
    base: dict[str, Any] = {
        "at": AT, "switch_engaged": False, "switch_scope": "", "reconciled": True, "mode_allowed": True,
        "session_open": OPEN, "session_close": CLOSE, "timezone": ZoneInfo("America/New_York"), "equity": 10_000.0,
        "account_equity": 10_000.0, "sent": [], "trades": TradeCounts(), "buckets": [TokenBucket(2, 1.0, 2.0)],
        "spent": {}, "held": [], "stop_outs": {}, "last_price": 99.5, "last_price_at": AT,
    }  # fmt: skip
    return GateContext(**(base | changes))


@dataclass(frozen=True)
class Case:
    """A row of an answers file.

    Columns ``intent.X``, ``limits.X``, ``context.X`` change what their name says; an empty cell changes nothing.
    ``code`` is the gate's answer, ``figures`` some of what it must have seen, ``why`` the working by hand.
    """

    name: str
    intent: OrderIntent
    account: AccountConfig
    context: GateContext
    code: str
    figures: dict[str, Any]


def cases(gate: str) -> list[Case]:
    with (ANSWERS / f"{gate}.csv").open(encoding="utf-8", newline="") as file:
        return [_case(row) for row in csv.DictReader(file)]


def _case(row: dict[str, str]) -> Case:
    changes: dict[str, dict[str, Any]] = {"intent": {}, "limits": {}, "context": {}}
    for column, text in row.items():
        part, _, name = column.partition(".")
        if name and text:
            changes[part][name] = _READ.get(name, _plain)(text)
    moment = changes["context"].get("at")
    if moment is not None and "last_price_at" not in changes["context"]:
        changes["context"]["last_price_at"] = moment
    return Case(
        row["case"], an_intent(**changes["intent"]), an_account(**changes["limits"]), a_context(**changes["context"]),
        row["code"], {name: _plain(value) for name, _, value in (p.partition("=") for p in _parts(row["figures"]))},
    )  # fmt: skip


def _plain(text: str) -> Any:
    if text == "none":
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return float(text) if text in ("nan", "inf") else text


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _moment(text: str) -> dt.datetime | None:
    """``HH:MM:SS`` of the day, or a whole ISO time; UTC."""
    if text == "none":
        return None
    return dt.datetime.fromisoformat(text if "T" in text else f"{AT.date()}T{text}").replace(tzinfo=dt.UTC)


def _exposures(text: str) -> list[Exposure]:
    """``VARIANT SYMBOL SIDE NOTIONAL [OCO_ID]; ...``"""
    rows = [part.split() for part in _parts(text)]
    return [Exposure(row[0], row[1], int(row[2]), float(row[3]), row[4] if len(row) > 4 else "") for row in rows]


def _sent(text: str) -> list[SentOrder]:
    """``KEY SIDE ENTRY HH:MM:SS; ...``"""
    rows = [part.split() for part in _parts(text)]
    return [SentOrder(key, int(side), float(entry), _at(at)) for key, side, entry, at in rows]


def _at(text: str) -> dt.datetime:
    found = _moment(text)
    assert found is not None
    return found


def _stop_outs(text: str) -> dict[tuple[str, str], dt.datetime]:
    """``VARIANT SYMBOL HH:MM:SS; ...``"""
    return {(variant, symbol): _at(at) for variant, symbol, at in (part.split() for part in _parts(text))}


def _buckets(text: str) -> list[TokenBucket]:
    """``SIZE SECONDS LEFT [HH:MM:SS]; ...``"""
    rows = [part.split() for part in _parts(text)]
    return [TokenBucket(int(r[0]), float(r[1]), float(r[2]), _at(r[3]) if len(r) > 3 else None) for r in rows]


def _windows(text: str) -> list[SpendingWindow]:
    """``HH:MM-HH:MM MAX; ...``"""
    found = []
    for part in _parts(text):
        hours, most = part.split()
        start, _, end = hours.partition("-")
        found.append(SpendingWindow(start=start, end=end, max_notional=float(most)))
    return found


def _spent(text: str) -> dict[SpendingWindow, float]:
    """``HH:MM-HH:MM MAX SPENT; ...``"""
    found = {}
    for part in _parts(text):
        window, _, spent = part.rpartition(" ")
        found[_windows(window)[0]] = float(spent)
    return found


def _results(text: str) -> BookResults:
    """``TRADES WINS [MEAN_WIN MEAN_LOSS]``"""
    numbers = text.split()
    return BookResults(int(numbers[0]), int(numbers[1]), *(float(number) for number in numbers[2:]))


def _trades(text: str) -> TradeCounts:
    """``ACCOUNT VARIANT SYMBOL``"""
    return TradeCounts(*(int(number) for number in text.split()))


_READ: dict[str, Callable[[str], Any]] = {
    "at": _moment, "last_price_at": _moment, "session_open": _moment, "session_close": _moment, "valid_from": _moment,
    "valid_to": _moment, "held": _exposures, "pending": _exposures, "sent": _sent, "stop_outs": _stop_outs,
    "buckets": _buckets, "spending_windows": _windows, "spent": _spent, "results": _results, "trades": _trades,
    "timezone": ZoneInfo, "pauses": _parts,
}  # fmt: skip
