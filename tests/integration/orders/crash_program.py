"""Program: routes sessions in processes that are killed again and again, against a broker process with a bad connection.

Orders come as JSON lines, ``{"folder": ..., "seed": ..., "most": ..., "kills": ..., "lossy": ...}``; each is a trial, answered
with its counts. Router and broker are forks of this process; nothing of Polars runs in it, as its threads would not come along.

``most``: a router is killed at its n-th side effect, n drawn from 1 to ``most``, or, every other time, at one of the first
of a ``RISKY`` kind if that comes earlier, up to ``kills`` times; a side effect is a call of the broker or a transaction of the
ledger, and the kill comes right before it or right after it.
``lossy``: the broker also loses the exits of positions that it has just opened.
"""

import contextlib
import json
import os
import pickle
import random
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INTERVAL = 900.0
RISKY = [
    f"{when} {call}"
    for call in ("place_bracket", "find", "advance", "events", "commit")
    for when in ("before", "after")
]
_TIMEOUT = 2.0


def kit() -> Any:
    """Imported where it is needed: it brings Polars."""
    from harness import order_market

    return order_market


@dataclass(frozen=True)
class Variant:
    """What the router needs of a variant, importable here by the processes that find it in ``market.pickle``."""

    name: str
    replay: Any
    timeframe: str
    strategy_version: str = "v1"
    config_hash: str = "c1"


def market(folder: Path) -> Any:
    """Calendar, account, variants, bars and intents by session; made once a trial, as it costs more than all the rest."""
    file = folder / "market.pickle"
    if file.exists():
        return pickle.loads(file.read_bytes())
    m = kit()
    variants = {
        "day": Variant("day", m.replay_config(), "15m"),
        "swing": Variant("swing", m.replay_config(exit_at_session_end=False, valid_sessions=1), "30m"),
    }
    sessions = m.SESSIONS[8:10]
    bars = {n: m.make_bars(sessions, m.SYMBOLS[:2], int(v.timeframe[:-1]), 5) for n, v in variants.items()}
    signals = {name: m.make_signals(frame, 0.2, 3 + number) for number, (name, frame) in enumerate(bars.items())}
    account = m.make_account(list(variants), reconcile_policy="protect", reconcile_seconds=INTERVAL)
    desk = m.Desk(None, None, None, account, variants, bars, signals)
    wanted = {session: (desk.intents(session), desk.session_bars(session)) for session in sessions}
    part = file.with_suffix(f".{os.getpid()}")
    part.write_bytes(pickle.dumps((m.CALENDAR, account, variants, wanted)))
    part.rename(file)
    return m.CALENDAR, account, variants, wanted


class BadConnection:
    """Between the routers and the broker: drops before and after the call, delays, repeats, mixes up and holds back.

    What it sees goes to ``journal.jsonl``: brackets placed for an order that was there, and how long positions were without a
    stop-loss, in the market's seconds.
    """

    def __init__(self, folder: Path, seed: int, lossy: bool) -> None:
        self._rng, self._lossy = random.Random(seed), lossy
        self._journal = (folder / "journal.jsonl").open("a", buffering=1)
        self._lock = threading.Lock()
        self._held: list[dict[str, Any]] = []
        self._naked: dict[str, Any] = {}
        self._slow = 2
        self._spared: set[str] = set()

    def __call__(self, broker: Any, line: bytes) -> bytes | None:
        from resources.brokers.simulated.server import exchange
        from resources.brokers.simulated.wire import read_request

        with self._lock:
            rng, (call, arguments) = self._rng, read_request(line)
            if call != "connect" and rng.random() < 0.006:
                return self._note("dropped_before", call)
            if call == "advance":
                self._watch(broker, arguments)
            if call == "place_bracket":
                again = [i.order_ref for i in arguments["intents"] if broker.find(i.order_ref) is not None]
                self._note("placed_again" if again else "placed", again or len(arguments["intents"]))
            reply = exchange(broker, line)
            if call == "advance" and self._lossy:
                self._lose(broker, arguments)
            if call in ("events", "executions"):
                reply = self._disturb(call, reply)
        if call != "connect" and rng.random() < 0.006:
            return self._note("dropped_after", call)
        if rng.random() < 0.03:
            self._note("delayed", call)
            time.sleep(rng.random() * 0.004)
        elif self._slow and rng.random() < 0.001:
            self._slow -= 1
            self._note("too_late", call)
            time.sleep(_TIMEOUT + 0.3)
        return reply

    def _note(self, what: str, which: Any) -> None:
        self._journal.write(json.dumps([what, which]) + "\n")

    def _disturb(self, call: str, reply: bytes) -> bytes:
        told, rng = json.loads(reply)["result"], self._rng
        if call == "events":
            late = [event for event in told if rng.random() < 0.1]
            told = [event for event in told if event not in late] + self._held
            self._held = late
        told += [event for event in told if rng.random() < 0.2]
        rng.shuffle(told)
        return json.dumps({"result": told}).encode() + b"\n"

    def _watch(self, broker: Any, arguments: dict[str, Any]) -> None:
        """The market is about to move: how long has each position been without its stop by then?"""
        account, variant, now = arguments["account"], arguments["variant"], arguments["bars"]["Timestamp"].max()
        naked = {o.order_ref for o in broker.open_orders(account) if o.filled_qty and not o.protected}
        for order in [o for o in broker.open_orders(account) if o.order_ref in naked and o.variant == variant]:
            since = self._naked.setdefault(order.order_ref, now)
            self._note("without_stop", (now - since).total_seconds())
        self._naked = {ref: since for ref, since in self._naked.items() if ref in naked}

    def _lose(self, broker: Any, arguments: dict[str, Any]) -> None:
        now = arguments["bars"]["Timestamp"].max()
        for order in broker.open_orders(arguments["account"]):
            if order.protected and order.order_ref not in self._spared:
                self._spared.add(order.order_ref)
                if self._rng.random() < 0.5:
                    broker.lose_exits(order.order_ref)
                    self._naked[order.order_ref] = now
                    self._note("exits_lost", order.order_ref)


def serve(folder: Path, seed: int, lossy: bool) -> None:
    from resources.brokers.simulated import BrokerAddress, broker_server

    bad = BadConnection(folder, seed, lossy)
    address = BrokerAddress(path=folder / "b")
    broker_server(folder / "broker.db", address, executions_per_fill=3, exchange=bad).serve_forever(poll_interval=5)


def route(folder: Path, kill_at: int, kind: str = "") -> None:
    """Both sessions; killed at the point ``kill_at`` (0 = never), or at the first one of ``kind``."""
    from resources.brokers.simulated import BrokerAddress, RemoteBroker
    from resources.ledger import Ledger
    from resources.router import Router

    passed = Counter[str]()

    def tick(point: str) -> None:
        passed.update([point])
        if passed.total() == kill_at or point == kind:
            with (folder / "kills").open("a") as kills:
                kills.write(point + "\n")
            os.kill(os.getpid(), signal.SIGKILL)

    class Killed(RemoteBroker):
        def _call(self, call: str, **arguments: Any) -> Any:
            tick(f"before {call}")
            result = super()._call(call, **arguments)
            tick(f"after {call}")
            return result

    class KilledLedger(Ledger):
        @contextlib.contextmanager
        def write(self) -> Any:
            with super().write() as w:
                yield w
                tick("before commit")
            tick("after commit")

    calendar, account, variants, wanted = market(folder)
    broker = Killed(BrokerAddress(path=folder / "b"), seconds=_TIMEOUT)
    ledger = KilledLedger(f"sqlite:///{folder / 'ledger.db'}")
    router = Router(ledger, broker, calendar, reconnects=1000)
    for session, (intents, bars) in wanted.items():
        router.route_session(account, session, intents, bars, variants)


def _fork(work: Any, *arguments: Any) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work(*arguments)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def _ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def trial(folder: str, seed: int, most: int, kills: int, lossy: bool = False) -> dict[str, int]:
    """Kills until both sessions are routed; how often, of routers and of brokers."""
    home, rng, counts = Path(folder), random.Random(seed), Counter[str]()
    broker = _fork(serve, home, seed, lossy)
    try:
        while True:
            kind, kill_at = "", 0
            if counts["router"] < kills:
                risky = [*RISKY, *["before protect", "after protect"] * 6] if lossy else RISKY
                kind = rng.choice(risky) if rng.random() < 0.4 else ""
                kill_at = rng.randint(1, 4 * most if kind else most)
            code = _ended(_fork(route, home, kill_at, kind))
            if code == 0:
                return dict(counts)
            if code != -signal.SIGKILL:
                raise AssertionError(f"a router ended with {code}: see standard error")
            counts["router"] += 1
            if not lossy and rng.random() < 0.05:  # a lossy one would forget since when a stop has been missing
                _kill(broker)
                counts["broker"] += 1
                broker = _fork(serve, home, seed + counts["broker"], lossy)
    finally:
        _kill(broker)


def _warm_up() -> None:
    """What every fork would do again."""
    import datetime as dt
    import tempfile

    import exchange_calendars  # noqa: F401
    import prometheus_client  # noqa: F401

    import resources.brokers.simulated.server
    import resources.router  # noqa: F401
    from resources.ledger import Ledger
    from trading.replay.machine import warm_up

    warm_up()
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(f"sqlite:///{folder}/ledger.db")
        ledger.states("paper", dt.date(2024, 1, 2))
        ledger.open_intents("paper")
        ledger.open_positions("paper")
        ledger.close()


def main() -> None:
    _warm_up()
    for line in sys.stdin:
        print(json.dumps(trial(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
