"""Sizing: each mode by hand, exactness, and what is refused."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from trading.errors import DataError
from trading.instruments import Instrument
from trading.sizing import (
    FixedSizing,
    KellySizing,
    PctOfEquitySizing,
    RiskSizing,
    Sizing,
    affordable,
    kelly_pct,
    quantity,
)

SHARE = Instrument(symbol="A")
KELLY = KellySizing(lookback=4, min_trades=2, fraction=0.5, min_pct=0.5, max_pct=5.0, max_pos_pct=100.0)


def size(sizing, entry=101.0, stop=99.0, equity=10_000.0, instrument=SHARE, **more):
    return quantity(sizing, entry=entry, stop=stop, equity=equity, instrument=instrument, **more)


def test_fixed_is_as_given():
    assert size(FixedSizing(qty=7.5)) == 7.5
    assert size(FixedSizing(qty=0.5)) == 0.0  # under min_qty
    assert size(FixedSizing(qty=150), instrument=Instrument(symbol="A", lot_size=100)) == 150.0


def test_pct_of_equity():
    assert size(PctOfEquitySizing(pos_pct=50)) == 49.0
    assert size(PctOfEquitySizing(pos_pct=50, equity=2000)) == 9.0
    assert size(PctOfEquitySizing(pos_pct=50), instrument=Instrument(symbol="A", lot_size=10)) == 40.0
    assert size(PctOfEquitySizing(pos_pct=1)) == 0.0


def test_risk():
    assert size(RiskSizing(risk_pct=1, max_pos_pct=100)) == 50.0
    assert size(RiskSizing(risk_pct=1, max_pos_pct=20)) == 19.0
    assert size(RiskSizing(risk_pct=1, max_pos_pct=100), entry=99.0, stop=101.0) == 50.0


def test_tenths_cost_no_share():
    risk = RiskSizing(risk_pct=3, max_pos_pct=100)
    assert 300 / (8.3 - 8.0) < 1000
    assert size(risk, entry=8.3, stop=8.0) == 1000.0
    assert size(RiskSizing(risk_pct=0.1, max_pos_pct=100), entry=1.3, stop=1.2, equity=0.3 * 1e4) == 30.0
    assert size(PctOfEquitySizing(pos_pct=100), entry=0.1, stop=0.05, equity=0.3) == 3.0


def test_realised_equity_may_be_exact():
    assert size(PctOfEquitySizing(pos_pct=100), equity=Fraction(101)) == 1.0
    assert size(PctOfEquitySizing(pos_pct=100), equity=Fraction(101) - Fraction(1, 10**30)) == 0.0


def test_lots_of_tenths_come_out_as_their_decimal():
    lots = Instrument(symbol="A", lot_size=0.1, min_qty=0.1)
    assert size(PctOfEquitySizing(pos_pct=0.31), entry=100.0, stop=90.0, instrument=lots) == 0.3


def test_no_equity_no_size():
    for equity in (0.0, -500.0):
        assert size(PctOfEquitySizing(pos_pct=50), equity=equity) == 0.0
        assert size(RiskSizing(risk_pct=1, max_pos_pct=100), equity=equity) == 0.0


def test_kelly_pct_by_hand():
    assert kelly_pct(KELLY, []) == Fraction(1, 2)  # under min_trades
    assert kelly_pct(KELLY, [-100.0]) == Fraction(1, 2)  # whatever the outcome
    assert kelly_pct(KELLY, [200.0, -100.0]) == 5  # f = 1/4, 12.5 % over max_pct
    assert kelly_pct(KELLY, [120.0, -100.0]) == Fraction(25, 6)  # f = 1/2 - 1/2 / 1.2 = 1/12
    assert kelly_pct(KELLY, [101.0, -100.0]) == Fraction(1, 2)  # f = 1/202: under min_pct
    assert kelly_pct(KELLY, [100.0, -100.0]) == 0  # f = 0
    assert kelly_pct(KELLY, [100.0, -200.0]) == 0  # f < 0
    assert kelly_pct(KELLY, [-100.0, -1.0]) == 0  # no win
    assert kelly_pct(KELLY, [0.0, 0.0]) == 0  # no win
    assert kelly_pct(KELLY, [1.0, 2.0]) == 5  # no loss: f = W = 1
    assert kelly_pct(KELLY, [1.0, 0.0]) == 5  # losses of nothing: f = W = 1/2
    assert kelly_pct(KELLY, [-1e9, 1.0, 1.0, 1.0, 1.0]) == 5  # only the last four
    assert kelly_pct(KELLY, [200.0], closed_trades=7) == 5  # the tail of a longer run


def test_kelly_sizes_as_risk():
    # 25/6 % of 10000 is 416.67 at risk, 2 a unit gives 208; all the equity buys 99
    assert size(KELLY, closed_pnl=[120.0, -100.0]) == 99.0
    assert size(KELLY.model_copy(update={"max_pos_pct": 1000.0}), closed_pnl=[120.0, -100.0]) == 208.0
    assert size(KELLY, closed_pnl=[-1.0, -1.0]) == 0.0


def test_affordable():
    def cut(qty, price, equity, open_notional=0.0, leverage=1.0, instrument=SHARE):
        return affordable(
            qty, price=price, equity=equity, max_leverage=leverage, open_notional=open_notional, instrument=instrument
        )

    assert cut(10.0, 101.0, 1000.0) == 9.0
    assert cut(5.0, 101.0, 1000.0) == 5.0
    assert cut(10.0, 101.0, 1000.0, open_notional=909.0) == 0.0
    assert cut(10.0, 101.0, 1000.0, open_notional=909.0, leverage=2.0) == 10.0
    assert cut(10.0, 101.0, 1000.0, open_notional=5000.0) == 0.0
    assert cut(5.0, 0.1, 0.3) == 3.0
    assert cut(150.0, 1.0, 1000.0, instrument=Instrument(symbol="A", lot_size=100)) == 150.0
    assert cut(150.0, 1.0, 140.0, instrument=Instrument(symbol="A", lot_size=100)) == 100.0


@given(
    equity=st.decimals(min_value=1, max_value=10**7, places=2).map(float),
    entry=st.integers(100, 10**6),
    ticks=st.integers(1, 5000),
    risk=st.sampled_from([0.1, 0.25, 0.3, 0.5, 1.0, 2.0]),
    cap=st.sampled_from([5.0, 20.0, 33.3, 100.0]),
    lot=st.sampled_from([0.001, 0.1, 1.0, 10.0, 100.0]),
)
@settings(max_examples=300, deadline=None)
def test_risk_is_the_largest_whole_number_of_lots_within_both_bounds(equity, entry, ticks, risk, cap, lot):
    instrument = Instrument(symbol="A", lot_size=lot, min_qty=lot)
    level, stop = entry / 100, (entry + ticks) / 100
    got = size(RiskSizing(risk_pct=risk, max_pos_pct=cap), entry=level, stop=stop, equity=equity, instrument=instrument)
    money, unit = Fraction(str(equity)) / 100, Fraction(str(lot))

    def fits(lots):
        at_risk, notional = lots * unit * Fraction(ticks, 100), lots * unit * Fraction(entry, 100)
        return at_risk <= money * Fraction(str(risk)) and notional <= money * Fraction(str(cap))

    lots = Fraction(str(got)) / unit
    assert lots.denominator == 1
    assert fits(lots)
    assert not fits(lots + 1)


def test_levels_that_cannot_be_sized_are_refused():
    risk = RiskSizing(risk_pct=1, max_pos_pct=100)
    for entry, stop in ((100.0, 100.0), (0.0, -1.0), (-5.0, -6.0)):
        with pytest.raises(DataError, match="cannot size"):
            size(risk, entry=entry, stop=stop)


@pytest.mark.parametrize(
    "settings_",
    [
        {"mode": "fixed"},
        {"mode": "fixed", "qty": 0},
        {"mode": "fixed", "qty": float("inf")},
        {"mode": "risk", "risk_pct": 1.0},
        {"mode": "risk", "risk_pct": -1.0, "max_pos_pct": 20.0},
        {"mode": "risk", "risk_pct": 1.0, "max_pos_pct": 20.0, "equity": 0.0},
        {"mode": "risk", "risk_pct": 1.0, "max_pos_pct": 20.0, "pos_pct": 1.0},
        {"mode": "martingale", "qty": 1.0},
        {"qty": 1.0},
        {**KELLY.model_dump(), "min_pct": 6.0},
        {**KELLY.model_dump(), "lookback": 0},
    ],
)
def test_wrong_settings_are_refused(settings_):
    with pytest.raises(ValidationError):
        TypeAdapter(Sizing).validate_python(settings_)


def test_the_mode_chooses_the_model():
    got = TypeAdapter(Sizing).validate_python({"mode": "risk", "risk_pct": 1.0, "max_pos_pct": 20.0, "equity": None})
    assert got == RiskSizing(risk_pct=1.0, max_pos_pct=20.0)
