"""Worth and positions that the router records over several sessions, against plain cash flows from the fills."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from harness import order_market as kit

from trading_assets.portfolio import Recomputation, portfolio_lines

CENT = Decimal("0.01")


def recompute(ledger: Any, account: str, session: Any) -> list[Any]:
    return Recomputation(ledger, account).differences(session)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kit.Desk]:
    """Three books in the same Symbols, two of which hold positions over night, after three sessions."""
    variants = [
        kit.TestVariant("day", kit.replay_config()),
        kit.TestVariant("swing", kit.replay_config(exit_at_session_end=False, valid_sessions=1), timeframe="15m"),
        kit.TestVariant("slow", kit.replay_config(exit_at_session_end=False), timeframe="15m", strategy_version="v2"),
    ]
    made = kit.make_desk(tmp_path_factory.mktemp("portfolio"), variants, sessions=kit.SESSIONS[:3])
    for session in kit.SESSIONS[:3]:
        made.route(session)
    yield made
    made.ledger.close()


def exactly(value: float) -> Decimal:
    return Decimal(repr(value))


def test_what_was_recorded_is_what_went_in_and_out_and_what_is_held(desk: kit.Desk) -> None:
    held_somewhere = set()
    for session in kit.SESSIONS[:3]:
        fills = [fill for fill in desk.ledger.fills("paper") if fill.session <= session]
        closes = {
            (name, row["Symbol"]): exactly(row["Close"])
            for name, bars in desk.session_bars(session).items()
            for row in bars.sort("Timestamp").iter_rows(named=True)
        }
        total = Decimal(0)
        for worth in desk.ledger.worth("paper", session=session):
            cash, fees, units = exactly(worth.capital), Decimal(0), dict[tuple[str, str], Decimal]()
            for fill in (f for f in fills if f.variant == worth.variant):
                bought = (fill.side > 0) == (fill.leg == "entry")
                qty, fee = exactly(fill.qty), exactly(fill.fee)
                cash += (-1 if bought else 1) * qty * exactly(fill.price) - fee
                fees += fee
                units[fill.order_ref, fill.symbol] = units.get((fill.order_ref, fill.symbol), Decimal(0)) + (
                    qty if bought else -qty
                )
            held = {key: qty for key, qty in units.items() if qty}
            marks = {key: closes[worth.variant, key[1]] for key in held}
            equity = cash + sum((qty * marks[key] for key, qty in held.items()), Decimal(0))
            long = sum((qty * marks[key] for key, qty in held.items() if qty > 0), Decimal(0))
            short = sum((-qty * marks[key] for key, qty in held.items() if qty < 0), Decimal(0))
            recorded = (worth.equity, worth.fees, worth.long_exposure, worth.short_exposure)
            for said, gives in zip(recorded, (equity, fees, long, short), strict=True):
                assert abs(exactly(said) - gives) < CENT / 2, (session, worth.variant)
            positions = desk.ledger.positions("paper", session, worth.variant)
            assert {(p.order_ref, p.symbol): exactly(p.side * p.qty) for p in positions} == held
            total += equity
            held_somewhere |= {(worth.variant, p.symbol) for p in positions}
        assert abs(total - sum(exactly(w.equity) for w in desk.ledger.worth("paper", session=session))) < CENT
        assert recompute(desk.ledger, "paper", session) == []
    at_once = Recomputation(desk.ledger, "paper")
    assert [at_once.differences(session) for session in [*kit.SESSIONS[:3], kit.SESSIONS[0]]] == [[]] * 4
    symbols = [symbol for _, symbol in held_somewhere]
    assert len(symbols) > len(set(symbols)), "no Symbol was held by two variants, so the test could not see them mix"


def test_a_figure_that_the_fills_do_not_give_is_named(desk: kit.Desk) -> None:
    session = kit.SESSIONS[1]
    worth = next(w for w in desk.ledger.worth("paper", session=session) if w.variant == "swing")
    desk.ledger.record_worth(replace(worth, realised=worth.realised + 0.01, equity=worth.equity + 0.01))
    assert {(d.variant, d.figure) for d in recompute(desk.ledger, "paper", session)} == {
        ("swing", "realised"), ("swing", "equity"),
    }  # fmt: skip
    wrong = [line.text for line in portfolio_lines(desk.ledger, desk.account, session) if line.wrong]
    assert len(wrong) == 2 and "WRONG swing: realised was recorded as" in wrong[0]
    desk.ledger.record_worth(worth)
    assert recompute(desk.ledger, "paper", session) == []
