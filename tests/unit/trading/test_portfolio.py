"""Positions and money from fills, against plain Decimal cash flows: what came in and went out, and what is held."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.errors import OrderError
from trading.portfolio import BookValue, book_values, cents, fill, holdings

CENT = Decimal("0.01")


@dataclass(frozen=True)
class Filled:
    variant: str
    order_ref: str
    symbol: str
    leg: str
    side: int
    qty: float
    price: float
    fee: float
    account: str = "paper"


def test_partial_fills_of_a_short_by_hand() -> None:
    # short 100 at 50.00 and 50 at 49.40: cost 7,470, average 49.80; cover 60 at 48.00: 60 * 1.80 = 108
    fills = [
        Filled("v", "r", "AAA", "entry", -1, 100.0, 50.0, 1.0),
        Filled("v", "r", "AAA", "entry", -1, 50.0, 49.4, 0.5),
        Filled("v", "r", "AAA", "exit", -1, 60.0, 48.0, 0.6),
    ]
    (held,) = holdings(fills)
    assert (held.qty, held.entry_price, held.side) == (90, Fraction("49.8"), -1)
    (value,) = book_values(fills, {"r": 49.0}).values()
    assert (cents(value.realised), cents(value.fees)) == (Decimal("105.90"), Decimal("2.10"))  # 108 less 2.10
    assert cents(value.unrealised) == Decimal("72.00")  # 90 * 0.80
    assert (value.long_exposure, value.short_exposure, value.net_exposure) == (0, 4410, -4410)
    closed = [*fills, Filled("v", "r", "AAA", "exit", -1, 90.0, 51.0, 0.9)]
    (value,) = book_values(closed, {}).values()
    assert holdings(closed) == [] and cents(value.pnl) == Decimal("-3.00")  # 108 - 90 * 1.20 - 3.00


def test_variants_with_the_same_symbol_do_not_mix() -> None:
    fills = [
        Filled("v", "r1", "AAA", "entry", 1, 10.0, 100.0, 0.0),
        Filled("w", "r2", "AAA", "entry", -1, 4.0, 101.0, 0.0),
        Filled("v", "r1", "AAA", "exit", 1, 10.0, 103.0, 0.0),
    ]
    values = book_values(fills, {"r2": 102.0})
    assert values["paper", "v"] == BookValue(realised=Fraction(30))
    assert values["paper", "w"] == BookValue(unrealised=Fraction(-4), short_exposure=Fraction(408))
    both = sum(values.values(), BookValue())
    assert (both.pnl, both.gross_exposure) == (26, 408)


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (Filled("v", "r", "AAA", "exit", 1, 11.0, 1.0, 0.0), r"closes 11, held is 10"),
        (Filled("v", "x", "AAA", "exit", 1, 1.0, 1.0, 0.0), r"execution of x .* held is 0"),
        (Filled("v", "r", "AAA", "exit", -1, 1.0, 1.0, 0.0), r"side -1, held is side 1"),
    ],
)
def test_executions_that_contradict_each_other_are_named(last: Filled, says: str) -> None:
    with pytest.raises(OrderError, match=says):
        holdings([Filled("v", "r", "AAA", "entry", 1, 10.0, 100.0, 0.0), last])


def test_what_is_held_needs_a_last_price() -> None:
    with pytest.raises(OrderError, match=r"paper/v holds 10 AAA of order r, for which there is no last price"):
        book_values([Filled("v", "r", "AAA", "entry", 1, 10.0, 100.0, 0.0)], {"q": 1.0})


PRICE = st.integers(100, 50_000).map(lambda c: c / 100)
FEE = st.integers(0, 500).map(lambda c: c / 100)


@st.composite
def executions(draw: st.DrawFn) -> list[Filled]:
    """Brackets of two books in two Symbols, long and short, in parts, interleaved; some closed, some not."""
    made: list[list[Filled]] = []
    for number in range(draw(st.integers(1, 6))):
        variant, symbol = draw(st.sampled_from(["v", "w"])), draw(st.sampled_from(["AAA", "BBB"]))
        side, lot = draw(st.sampled_from([1, -1])), draw(st.sampled_from([1.0, 0.1, 0.001]))
        parts, held = [], 0
        for _ in range(draw(st.integers(1, 6))):
            leg = draw(st.sampled_from(["entry", "exit"])) if held else "entry"
            count = draw(st.integers(1, held if leg == "exit" else 500))
            held += count if leg == "entry" else -count
            qty = float(Decimal(count) * Decimal(str(lot)))
            parts.append(Filled(variant, f"r{number}", symbol, leg, side, qty, draw(PRICE), draw(FEE)))
            if not held:
                break
        made.append(parts)
    order: list[Filled] = []
    while made := [parts for parts in made if parts]:
        order.append(draw(st.sampled_from(made)).pop(0))
    return order


@settings(max_examples=150, deadline=None)
@given(executions(), st.dictionaries(st.sampled_from([f"r{n}" for n in range(6)]), PRICE, min_size=6, max_size=6))
def test_money_is_what_went_in_and_out_and_what_is_held(fills: list[Filled], last: dict[str, float]) -> None:
    values = book_values(fills, last)
    for (_, variant), value in values.items():
        cash = fees = held_worth = gross = Decimal(0)
        left: dict[str, Decimal] = {}
        for one in (f for f in fills if f.variant == variant):
            qty, price, fee = Decimal(str(one.qty)), Decimal(str(one.price)), Decimal(str(one.fee))
            buys = one.side > 0 if one.leg == "entry" else one.side < 0
            cash += (-1 if buys else 1) * qty * price - fee
            fees += fee
            left[one.order_ref] = left.get(one.order_ref, Decimal(0)) + (qty if buys else -qty)
        for ref, qty in left.items():
            held_worth += qty * Decimal(str(last[ref]))
            gross += abs(qty) * Decimal(str(last[ref]))
        assert abs(cents(value.pnl) - (cash + held_worth)) <= CENT / 2
        assert cents(value.fees) == fees
        assert abs(cents(value.gross_exposure) - gross) <= CENT / 2
        assert abs(cents(value.net_exposure) - held_worth) <= CENT / 2
        assert {h.order_ref: h.side * h.qty for h in holdings(fills) if h.variant == variant} == {
            ref: Fraction(qty) for ref, qty in left.items() if qty
        }


@settings(max_examples=50, deadline=None)
@given(executions())
def test_a_closed_bracket_has_realised_all_of_it(fills: list[Filled]) -> None:
    """One by one the executions add up to what playing them all gives."""
    held, total = {}, Fraction(0)
    for one in fills:
        held[one.order_ref], realised = fill(held.get(one.order_ref), one)
        total += realised
    values = book_values(fills, {ref: 1.0 for ref, holding in held.items() if holding})
    assert sum(value.realised for value in values.values()) == total
