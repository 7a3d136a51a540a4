"""Accidents that robots had, through the real router, ledger and simulated broker: what stops each, after how many orders."""

import datetime as dt
from collections import Counter
from pathlib import Path

import pytest
from harness.accident import DAY, FLAT, LOSES, WINS, Accident, account

from trading.errors import OrderError
from trading.risk.win_rate import WinRateReference


def test_63_duplicate_orders_in_one_second(tmp_path: Path) -> None:
    """Gate 4 lets the first one out, though each has a key of its own."""
    accident = Accident(tmp_path, account(), {"AAA": [FLAT, FLAT, WINS]})
    for number in range(63):
        accident.wish(0, after=number / 63)
    report = accident.route()
    assert (report.sent, dict(report.refused)) == (1, {"duplicate_order": 62})
    assert len(accident.fills("entry")) == 1


def test_63_orders_in_one_second_at_63_prices(tmp_path: Path) -> None:
    """No duplicates by their price: the bucket of gate 6 holds 10, and a tenth of a second's refill each 1/10 s."""
    config = account(limits={"orders_per_second": 10})
    accident = Accident(tmp_path, config, {"AAA": [FLAT, FLAT]})
    for number in range(63):
        accident.wish(0, after=0.0, entry=101.0 + number / 100, target=103.0)
    report = accident.route()
    assert (report.sent, dict(report.refused)) == (10, {"rate_limit": 53})


def test_1679_re_entries_within_a_minute_of_a_stop_out(tmp_path: Path) -> None:
    """Gate 5: not one of them. Each Symbol is entered once, stopped out, and wished for again every three seconds for a minute.

    84 Symbols x 20 wishes less one are 1,679 re-entries.
    """
    symbols = [f"S{number:03d}" for number in range(84)]
    config = account(
        limits={
            "cooldown_minutes": 5, "orders_per_second": 10_000, "orders_per_minute": 10_000, "dedupe_seconds": 0,
            "max_gross_pct": 1e6, "max_net_pct": 1e6, "max_leverage": 1e4,
        },
        breakers={"daily_loss_pct": 100, "drawdown_pct": 100},
    )  # fmt: skip
    paths = {symbol: [FLAT, LOSES, LOSES, LOSES, LOSES, LOSES, FLAT] for symbol in symbols}
    accident = Accident(tmp_path, config, paths, max_leverage=100.0, sizing={"mode": "fixed", "qty": 1})
    for symbol in symbols:
        accident.wish(0, symbol, qty=1.0)
    first = len(accident.wishes)
    for symbol in symbols:
        for after in range(0, 60, 3):
            accident.wish(1, symbol, after=after, qty=1.0)
    accident.wishes.pop()
    report = accident.route()
    assert len(accident.wishes) - first == 1679
    assert (report.sent, report.refused["cooldown"]) == (84, 1679)
    assert Counter(fill.reason for fill in accident.fills("exit")) == {"sl": 84}


def test_a_win_rate_of_94_percent_with_losses_29_times_the_wins(tmp_path: Path) -> None:
    """Gate 10, from the first trade on that its setting counts: 30 wins of 30 are not enough at 29 to 1."""
    accident = Accident(tmp_path, account(), {"AAA": [WINS] * 60})
    for bar in range(58):
        accident.wish(bar, stop=72.0, qty=1.0)
    report = accident.route()
    results = accident.fills("exit")
    assert len(results) == 30 and {fill.reason for fill in results} == {"tp"}
    assert (report.sent, dict(report.refused)) == (30, {"expectancy": 28})


def test_613_trades_at_a_win_rate_of_2_percent(tmp_path: Path) -> None:
    """The losing-streak breaker: at a reference of 40 % ten losses in a row have a chance of 0.6^10 = 0.006."""
    config = account(limits={"cooldown_minutes": 0})
    accident = Accident(tmp_path, config, {"AAA": [LOSES] * 40})
    for bar in range(38):
        accident.wish(bar, qty=1.0)
    reference = {"v": WinRateReference(0.4, DAY - dt.timedelta(days=1))}
    report = accident.route(references=reference)
    assert len(accident.fills("entry")) == 10
    (breach,) = report.breaches
    assert (breach.breaker, breach.scope) == ("losing_streak", "book:paper/v")
    assert breach.figure == pytest.approx(0.6**10)
    assert report.refused["kill_switch"] == 28


def test_a_size_tripled_after_a_streak(tmp_path: Path) -> None:
    """Gate 9: five trades with 1 % at risk go out, the sixth with 3 % does not."""
    config = account(limits={"max_symbol_pct": 400})
    accident = Accident(tmp_path, config, {"AAA": [WINS] * 12}, max_leverage=4.0)
    for bar in range(10):
        accident.wish(bar, qty=50.0 if bar < 5 else 150.0)
    report = accident.route()
    assert (report.sent, dict(report.refused)) == (5, {"hard_stop": 5})
    refused = accident.desk.ledger.intent(accident.wishes[5].order_ref).events[-1]
    assert refused.payload["gates"][8]["figures"]["risk_pct"] == pytest.approx(300 / 10_250 * 100)


def test_a_small_size_tripled_after_a_streak(tmp_path: Path) -> None:
    """Gate 11: 0.6 % tripled is 1.8 %, under the hard stop, over half of Kelly after 6 wins and 6 losses at 1 to 2."""
    config = account(limits={"cooldown_minutes": 0, "kelly": {"min_trades": 12}})
    accident = Accident(tmp_path, config, {"AAA": [FLAT, *[WINS, LOSES] * 6, WINS, WINS]}, max_leverage=4.0)
    for bar in range(12):
        accident.wish(bar, qty=30.0)
    accident.wish(12, qty=90.0)
    report = accident.route()
    assert (report.sent, dict(report.refused)) == (12, {"kelly": 1})


def test_a_position_without_a_stop_drifts_to_minus_50_percent(tmp_path: Path) -> None:
    """Its order has no way out; held all the same, the unrealised daily loss closes it at the first Close past -5 %."""
    drift = [(100.0 - i, 100.0 - i, 99.0 - i, 99.0 - i) for i in range(50)]
    with pytest.raises(OrderError, match="levels are out of order"):
        Accident(tmp_path / "none", account(), {"AAA": [FLAT]}).wish(0, stop=101.0)

    refused = Accident(tmp_path / "refused", account(), {"AAA": [FLAT, (100, 101, 100, 100), *drift]})
    refused.wish(0, qty=90.0, stop=40.0, target=None)
    assert dict(refused.route().refused) == {"hard_stop": 1}

    config = account(limits={"hard_stop_pct": 100}, on_kill="flatten")
    held = Accident(tmp_path / "held", config, {"AAA": [FLAT, (100, 101, 100, 100), *drift]})
    held.wish(0, qty=90.0, stop=1.0, target=None)
    report = held.route()
    (breach,) = report.breaches
    assert (breach.breaker, breach.scope) == ("daily_loss", "global")
    # entered at 101: 90 x (101 - 95) = 540 is 5.4 % of 10,000; at 96 it was 4.5 %
    (out,) = held.fills("exit")
    assert (out.reason, out.price) == ("kill_switch", 95.0) and breach.figure == pytest.approx(5.4)
    assert held.desk.broker.positions("paper") == []
