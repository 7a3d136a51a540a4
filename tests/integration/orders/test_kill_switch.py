"""The kill switch: recorded first, gone on with after any death, verified, and per broker whatever the others do."""

import datetime as dt
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from harness import order_market as kit

from resources.cancellation import ATTEMPTS
from resources.health import HealthProbe
from resources.kill_switch import clear, engage, unfinished
from resources.ledger import Ledger, LedgerError
from trading.errors import ConfigError
from trading.ports.broker import BrokerUnavailable
from trading.risk.pauses import Health

FIRST, SECOND = kit.SESSIONS[:2]
NOON = dt.datetime(2023, 11, 13, 17, 0, tzinfo=dt.UTC)


@pytest.fixture
def desk(tmp_path: Path):
    """After a session that leaves orders and positions open over night."""
    config = kit.replay_config(exit_at_session_end=False, valid_sessions=2)
    desk = kit.make_desk(
        tmp_path, [kit.TestVariant("swing", config)], sessions=[FIRST, SECOND], symbols=kit.SYMBOLS[:4]
    )
    desk.route(FIRST)
    assert working(desk) and desk.broker.positions("paper")
    return desk


def working(desk) -> list[str]:
    return [order.order_ref for order in desk.broker.open_orders("paper") if order.status == "working"]


class Deadly:
    """A broker at whose first cancellation the process is killed."""

    def cancel_all(self, *_, **__) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0


def kill_between_record_and_cancel(desk, tmp_path: Path, *, flatten: bool = False) -> None:
    pid = os.fork()
    if pid == 0:
        ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
        engage(ledger, [(desk.account, Deadly())], scope="global", reason="drill", by="Ada", at=NOON, flatten=flatten)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("flatten", [False, True])
def test_killed_between_record_and_cancel_the_sensors_way_goes_on(desk, tmp_path: Path, flatten: bool) -> None:
    before, held = working(desk), desk.broker.positions("paper")
    kill_between_record_and_cancel(desk, tmp_path, flatten=flatten)
    assert working(desk) == before and desk.ledger.is_engaged("paper", "swing")
    accounts = [(desk.account, desk.broker)]
    (switch,) = unfinished(desk.ledger, accounts)
    assert clear(accounts, switch.scope, NOON, flatten=switch.flatten) == (len(before), ())
    assert working(desk) == [] and desk.broker.positions("paper") == ([] if flatten else held)
    assert unfinished(desk.ledger, accounts) == []


@pytest.mark.parametrize("flatten", [False, True])
def test_killed_between_record_and_cancel_the_router_goes_on_before_it_plays_a_bar(
    desk, tmp_path, flatten: bool
) -> None:
    kill_between_record_and_cancel(desk, tmp_path, flatten=flatten)
    held = {position.order_ref for position in desk.broker.positions("paper")}
    seen: list[tuple[int, int]] = []
    advance = desk.broker.advance

    def watched(*arguments):
        seen.append((len(working(desk)), len(desk.broker.positions("paper"))))
        return advance(*arguments)

    desk.broker.advance = watched
    report = desk.route(SECOND)
    assert seen[0] == (0, 0 if flatten else len(held)) and report.sent == 0
    entries = {fill.order_ref for fill in desk.ledger.fills("paper", session=SECOND) if fill.leg == "entry"}
    assert entries == set() and report.differences == ()


def test_positions_keep_their_stops_unless_the_account_says_otherwise(desk) -> None:
    engage(desk.ledger, [(desk.account, desk.broker)], scope="global", reason="drill", by="Ada", at=NOON)
    held = desk.broker.positions("paper")
    assert held and all(desk.broker.find(position.order_ref).protected for position in held)
    closing = desk.account.model_copy(update={"on_kill": "flatten"})
    engage(desk.ledger, [(closing, desk.broker)], scope="account:paper", reason="drill", by="Ada", at=NOON)
    assert desk.broker.positions("paper") == []


def test_a_broker_that_is_away_keeps_no_other_from_being_asked(desk) -> None:
    class Away:
        def cancel_all(self, *_, **__) -> int:
            raise BrokerUnavailable("no answer")

    other = desk.account.model_copy(update={"name": "other"})
    accounts = [(other, Away()), (desk.account, desk.broker)]
    outcome = engage(desk.ledger, accounts, scope="global", reason="drill", by="Ada", at=NOON)
    assert outcome.cancelled > 0 and working(desk) == []
    assert outcome.still_open == ("other/swing: no answer",)


def test_one_that_dies_while_it_is_asked_keeps_no_other_from_being_asked(desk) -> None:
    """It takes requests without an effect, and is gone when it is asked what is left."""

    class Dying:
        looks = 0

        def cancel_all(self, *_, **__) -> int:
            return 0

        def open_orders(self, _):
            Dying.looks += 1
            if Dying.looks > ATTEMPTS:
                raise BrokerUnavailable("gone")
            return [order for order in desk.broker.open_orders("paper") if order.status == "working"]

    other = desk.account.model_copy(update={"name": "other"})
    accounts = [(other, Dying()), (desk.account, desk.broker)]
    outcome = engage(desk.ledger, accounts, scope="global", reason="drill", by="Ada", at=NOON)
    assert outcome.cancelled > 0 and working(desk) == []
    # what the broker said last, each by its name
    assert len(outcome.still_open) > 0
    assert {text.partition(":")[0] for text in outcome.still_open} == {"other/swing"}


def test_what_was_cut_off_is_found_beside_a_broker_that_is_away(desk, tmp_path: Path) -> None:
    class Away:
        def open_orders(self, _):
            raise BrokerUnavailable("no answer")

    kill_between_record_and_cancel(desk, tmp_path, flatten=False)
    other = desk.account.model_copy(update={"name": "other"})
    accounts = [(other, Away()), (desk.account, desk.broker)]
    assert len(unfinished(desk.ledger, accounts)) == 1
    assert unfinished(desk.ledger, accounts[:1]) == []  # nobody knows; it is looked at again


def test_it_is_recorded_though_no_broker_can_be_reached(desk) -> None:
    assert engage(desk.ledger, [], scope="global", reason="drill", by="Ada", at=NOON).newly
    assert engage(desk.ledger, [], scope="account:gone", reason="drill", by="Ada", at=NOON, others=True).newly
    with pytest.raises(ConfigError, match="covers no book"):
        engage(desk.ledger, [], scope="account:gone", reason="drill", by="Ada", at=NOON)
    assert {switch.scope for switch in desk.ledger.engaged_switches()} == {"global", "account:gone"}


def test_cancelling_is_tried_again_until_the_broker_shows_none(desk) -> None:
    cancel, calls = desk.broker.cancel_all, []

    def reluctant(*arguments):
        calls.append(arguments)
        return cancel(*arguments) if len(calls) >= 4 else 0

    desk.broker.cancel_all = reluctant
    outcome = engage(desk.ledger, [(desk.account, desk.broker)], scope="global", reason="drill", by="Ada", at=NOON)
    assert len(calls) == 4 and outcome.still_open == () and working(desk) == []


def test_nothing_is_sent_where_the_ledgers_file_is_gone(tmp_path: Path) -> None:
    desk = kit.make_desk(tmp_path, [kit.TestVariant("risk", kit.replay_config())], sessions=[FIRST])
    sends = []
    desk.broker.place_bracket = lambda group: sends.append(group) or []

    def remove(point: str) -> None:
        if point == "step_committed":
            (tmp_path / "ledger.db").unlink(missing_ok=True)

    desk.router._fault = remove
    with pytest.raises(LedgerError, match="removed"):
        desk.route(FIRST)
    assert sends == []


@pytest.mark.parametrize(
    ("health", "code"),
    [
        (Health(lake_writable=False), "paused_lake_not_writable"),
        (Health(ledger_writable=False), "paused_ledger_not_writable"),
        (Health(clock_skew_seconds=60.0), "paused_clock_skew"),
        (Health(broker_silent_seconds=61.0), "paused_broker_disconnected"),
    ],
)
def test_a_pause_holds_every_entry_back_and_engages_nothing(tmp_path: Path, health: Health, code: str) -> None:
    desk = kit.make_desk(tmp_path, [kit.TestVariant("risk", kit.replay_config())], sessions=[FIRST])
    desk.router._health = lambda: health
    report = desk.route(FIRST)
    assert report.sent == 0 and report.refused == {code: report.intents}
    (event,) = desk.ledger.risk_events("paper", code, FIRST)
    assert event.severity == "warning" and event.figures["limit"] is not None
    assert desk.ledger.engaged_switches() == []


def test_old_data_holds_entries_back(tmp_path: Path) -> None:
    desk = kit.make_desk(tmp_path, [kit.TestVariant("risk", kit.replay_config())], sessions=[FIRST], symbols=["AAA"])
    late = replace(desk.intents(FIRST)[0], valid_from=kit.CALENDAR.open(FIRST) + dt.timedelta(hours=2))
    until = late.setup_time + dt.timedelta(minutes=5)
    desk.bars["risk"] = desk.bars["risk"].filter(desk.bars["risk"]["Timestamp"] < until)
    report = desk.route(FIRST, [late])
    assert report.refused == {"paused_stale_data": 1}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_health_is_measured_of_the_real_parts(desk, tmp_path: Path) -> None:
    from resources.lake import open_lake

    lake, clock = open_lake(f"file://{tmp_path / 'lake'}"), Clock()
    probe = HealthProbe(desk.ledger, lake, desk.broker, monotonic=clock)
    assert probe() == Health()
    assert [branch for branch in lake.list_branches() if "health" in str(branch)] == []

    def away() -> None:
        raise BrokerUnavailable("no answer")

    desk.broker.connect = away
    clock.now = 4.0
    assert probe() == Health()  # still fresh
    clock.now = 70.0
    assert probe() == Health(broker_silent_seconds=70.0)
    (tmp_path / "ledger.db").unlink()
    clock.now = 80.0
    assert not probe().ledger_writable


def test_a_heated_market_is_recorded_and_makes_orders_smaller(tmp_path: Path) -> None:
    from resources.market_heat import MARKET_HEAT, HeatRecord

    sessions = kit.SESSIONS[:5]
    config = kit.make_account(["risk"], breakers={
        "daily_loss_pct": 90.0, "drawdown_pct": 90.0,
        "overheat": {"lookback": 3, "min_sessions": 3, "quantile": 0.9, "release_quantile": 0.5},
    })  # fmt: skip
    desk = kit.make_desk(tmp_path, [kit.TestVariant("risk", kit.replay_config())], sessions=sessions, account=config)
    bars = desk.bars["risk"]
    hot = (bars["session"] == sessions[3]) & (bars["Symbol"] == "S0")
    desk.bars["risk"] = bars.with_columns(
        Close=bars["Close"].zip_with(~hot, bars["Low"])
    )  # wilder Closes on the fourth day
    for session in sessions[:4]:
        assert HeatRecord(desk.ledger, config, session).factor == 1.0
        desk.route(session)
    events = desk.ledger.risk_events("paper", MARKET_HEAT)
    assert [event.session for event in events] == sessions[:4]
    figures = [event.figures["realised_volatility"] for event in events]
    assert figures[3] > max(figures[:3]) > 0
    assert HeatRecord(desk.ledger, config, sessions[4]).factor == 0.5
