"""Program: routes the seeded sessions in forks of itself, each of which kills itself at a fault point.

Orders come as JSON lines, ``{"arguments": [folder of the state, name of the fault point, which occurrence of it]}``, see
harness/spawner.py; nothing of Polars runs before a fork, as its threads would not come along.
"""

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any


def kit() -> Any:
    """Imported where it is needed: it brings Polars."""
    from harness import order_market

    return order_market


def desk(folder: Path, fault: Any = None) -> Any:
    """Two variants, two Symbols, two sessions."""
    market = kit()
    variants = [
        market.TestVariant("day", market.replay_config()),
        market.TestVariant("swing", market.replay_config(exit_at_session_end=False, valid_sessions=1), timeframe="15m"),
    ]
    return market.make_desk(
        folder, variants, sessions=market.SESSIONS[:2], symbols=market.SYMBOLS[:2], share=0.12, fault=fault
    )


def route(folder: str, point: str, occurrence: int) -> None:
    seen = 0

    def fault(name: str) -> None:
        nonlocal seen
        seen += name == point
        if name == point and seen == occurrence:
            os.kill(os.getpid(), signal.SIGKILL)

    trading = desk(Path(folder), fault)
    for session in kit().SESSIONS[:2]:
        trading.route(session)


def main() -> None:
    import exchange_calendars  # noqa: F401 - this and the next: once, not in every process

    import resources.brokers.simulated
    import resources.ledger
    import resources.router  # noqa: F401
    from trading.replay.machine import warm_up

    warm_up()
    for line in sys.stdin:
        arguments = json.loads(line)["arguments"]
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                route(*arguments)
                code = 0
            except BaseException:
                traceback.print_exc()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(json.dumps({"code": code, "calls": 0}), flush=True)


if __name__ == "__main__":
    main()
