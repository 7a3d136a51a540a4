"""Three layers over a position, each on its own: the bot's trailing stop, the stop at the broker, the leverage cap."""

from pathlib import Path

import pytest
from harness.accident import FLAT, Accident, account

RISE = [(100, 101, 100, 101), (101, 106, 101, 106), (106, 106, 104, 104), (104, 104, 103, 103), (103, 103, 90, 90)]


def test_the_trailing_stop_leaves_two_percent_behind_the_best_close(tmp_path: Path) -> None:
    trailed = Accident(tmp_path, account(trailing_stop={}), {"AAA": [FLAT, *RISE]})
    trailed.wish(0, qty=10.0, stop=82.0, target=None)
    trailed.route()
    (out,) = trailed.fills("exit")
    # 106 less 2 % is 103.88: a Close of 104 stays, 103 leaves
    assert (out.reason, out.price) == ("trailing", 103.0)


@pytest.mark.parametrize("kind", ["trailing stop off", "bot away"])
def test_the_stop_at_the_broker_holds_without_the_bot(tmp_path: Path, kind: str) -> None:
    held = Accident(tmp_path, account(), {"AAA": [FLAT, *RISE]})
    held.wish(0, qty=10.0, stop=99.0, target=None)
    if kind == "bot away":
        held.desk.router._fault = _go_away_after(held, 2)
        with pytest.raises(ConnectionAbortedError):
            held.route()
        broker, bars = held.desk.broker, held.desk.bars["v"]
        (position,) = broker.positions("paper")
        assert position.qty == 10 and broker.find(position.order_ref).protected
        rest = bars.filter(bars["Timestamp"] > broker.clock("paper", "v"))
        last = rest["Timestamp"].max()
        broker.advance("paper", "v", rest.with_columns(session_end=rest["Timestamp"] == last))
        (out,) = [event for event in broker.executions("paper") if event.leg == "exit"]
    else:
        held.route()
        (out,) = held.fills("exit")
    assert (out.reason, out.price) == ("sl", 99.0)


def _go_away_after(held, count: int):
    seen = []

    def fault(point: str) -> None:
        if held.desk.broker.positions("paper"):
            seen.append(point)
        if len(seen) >= count:
            raise ConnectionAbortedError(point)

    return fault


def test_a_restart_trails_from_the_same_best(tmp_path: Path) -> None:
    trailed = Accident(tmp_path, account(trailing_stop={}), {"AAA": [FLAT, *RISE]})
    trailed.wish(0, qty=10.0, stop=82.0, target=None)
    trailed.desk.router._fault = _go_away_after(trailed, 5)
    with pytest.raises(ConnectionAbortedError):
        trailed.route()
    trailed.desk.router._fault = lambda _: None
    trailed.route()
    (out,) = trailed.fills("exit")
    assert (out.reason, out.price) == ("trailing", 103.0)


def test_the_leverage_cap_counts_what_is_on_order(tmp_path: Path) -> None:
    """Five orders of 2,525 on 10,000 of equity: the cap of 1 lets three out, whether they fill or not."""
    config = account(limits={"max_leverage": 1.0})
    many = Accident(tmp_path, config, {symbol: [FLAT, FLAT] for symbol in "ABCDE"})
    for symbol in "ABCDE":
        many.wish(0, symbol, qty=25.0)
    report = many.route()
    assert (report.sent, dict(report.refused)) == (3, {"exposure_leverage": 2})
