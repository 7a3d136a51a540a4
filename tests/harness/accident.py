"""A few one-minute bars and whatever wishes a test has, through the real router, ledger and simulated broker."""

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl

from harness import order_market as kit
from trading.accounts import AccountConfig
from trading.orders import OrderIntent

DAY = kit.SESSIONS[0]
OPEN = kit.CALENDAR.open(DAY)
Bar = tuple[float, float, float, float]
FLAT: Bar = (100, 100, 100, 100)
WINS: Bar = (100, 102, 100, 101)  # entered at 101, target 102
LOSES: Bar = (100, 101, 98, 100)  # entered at 101, stopped at 99


def account(**changes: Any) -> AccountConfig:
    """The defaults of every account; one book of 10,000."""
    return AccountConfig.model_validate({"name": "paper", "variants": {"v": {"capital": 10_000.0}}} | changes)


def minutes(number: float) -> dt.datetime:
    return OPEN + dt.timedelta(minutes=number)


class Accident:
    """One-minute bars, and wishes that stand on them."""

    def __init__(self, folder: Path, config: AccountConfig, bars: dict[str, list[Bar]], **replay: Any) -> None:
        costs = {"costs": {"fees_bps": 0.0, "slippage_bps": 0.0}}
        variant = kit.TestVariant("v", kit.replay_config(**(costs | replay)), timeframe="1m")
        self.desk = kit.make_desk(folder, [variant], sessions=[DAY], symbols=["AAA"], account=config)
        rows = [
            (symbol, minutes(i), *map(float, bar), 100, DAY)
            for symbol, path in bars.items()
            for i, bar in enumerate(path)
        ]
        self.desk.bars["v"] = pl.DataFrame(rows, schema=self.desk.bars["v"].schema, orient="row")
        self.wishes: list[OrderIntent] = []

    def wish(self, bar: int, symbol: str = "AAA", *, after: float = 0.0, **changes: Any) -> None:
        """Buy at 101, stop 99, target 102, known ``after`` seconds past the close of ``bar``."""
        number = len(self.wishes)
        base: dict[str, Any] = {
            "idempotency_key": f"key{number:061d}", "order_ref": f"ref{number:013d}", "oco_id": f"oco{number}",
            "account": "paper", "variant": "v", "strategy_version": "v1", "symbol": symbol, "side": 1, "qty": 10.0,
            "entry": 101.0, "stop": 99.0, "target": 102.0, "setup_time": minutes(bar), "session": DAY,
            "valid_sessions": 0, "valid_from": minutes(bar + 1) + dt.timedelta(seconds=after),
            "valid_to": kit.CALENDAR.close(DAY),
        }  # fmt: skip
        self.wishes.append(OrderIntent(**(base | changes)))

    def route(self, **options: Any):
        desk = self.desk
        return desk.router.route_session(
            desk.account, DAY, self.wishes, desk.session_bars(DAY), desk.variants, **options
        )

    def fills(self, leg: str):
        return [fill for fill in self.desk.ledger.fills("paper") if fill.leg == leg]
