from decimal import Decimal

import pytest
from pydantic import ValidationError

from trading.instruments import Instrument


def test_defaults_are_a_us_share() -> None:
    spy = Instrument(symbol="SPY")
    assert (spy.tick, spy.lot, spy.min_qty, spy.currency, spy.calendar) == (
        Decimal("0.01"),
        Decimal(1),
        1,
        "USD",
        "XNYS",
    )


@pytest.mark.parametrize("symbol", ["BRK.B", "ES_XYZ", "BTC-USD", "^GSPC", "EURUSD=X", "7203.T"])
def test_symbols_of_vendors(symbol: str) -> None:
    if symbol.startswith("^"):
        with pytest.raises(ValidationError):
            Instrument(symbol=symbol)
    else:
        assert Instrument(symbol=symbol).symbol == symbol


@pytest.mark.parametrize(
    "fields",
    [
        {"symbol": ""},
        {"symbol": "../etc"},
        {"symbol": "A B"},
        {"symbol": "SPY", "tick_size": 0},
        {"symbol": "SPY", "tick_size": float("nan")},
        {"symbol": "SPY", "tick_size": float("inf")},
        {"symbol": "SPY", "lot_size": -1},
        {"symbol": "SPY", "min_qty": 0},
        {"symbol": "SPY", "currency": "usd"},
        {"symbol": "SPY", "ticksize": 0.01},
    ],
)
def test_wrong_instruments_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Instrument(**fields)  # type: ignore[arg-type]


def test_frozen_and_exact() -> None:
    future = Instrument(symbol="ES", tick_size=0.25, lot_size=0.1)
    assert (future.tick, future.lot) == (Decimal("0.25"), Decimal("0.1"))
    with pytest.raises(ValidationError):
        future.tick_size = 1.0  # type: ignore[misc]
