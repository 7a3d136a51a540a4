"""Program: routes the seeded sessions, and kills itself at a fault point.

Arguments: folder of the state, name of the fault point (or ``none``), which occurrence of it.
"""

import importlib.util
import os
import signal
import sys
from pathlib import Path
from typing import Any


def kit() -> Any:
    """The market of the conftest beside this file."""
    name = "orders_market"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("conftest.py"))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


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


def main() -> None:
    folder, point, occurrence = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    seen = 0

    def fault(name: str) -> None:
        nonlocal seen
        seen += name == point
        if name == point and seen == occurrence:
            os.kill(os.getpid(), signal.SIGKILL)

    trading = desk(folder, fault)
    for session in kit().SESSIONS[:2]:
        trading.route(session)


if __name__ == "__main__":
    main()
