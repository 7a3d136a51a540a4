"""``python -m benchmarks.replay``: measures a replay and a sweep against their peers, and prints the tables."""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.lake.machine import machine
from benchmarks.replay.comparison import NAUTILUS_PYTHON, in_turn, skipped
from benchmarks.replay.data import BARS_A_SESSION, FULL, QUICK, make
from benchmarks.replay.report import Table, as_markdown, claims
from benchmarks.replay.ways import BACKTESTING, NAUTILUS, NUMBA, ORDERS, OURS, RUST

ROOT = Path(__file__).resolve().parents[2]
ALL = (OURS, RUST, NUMBA, ORDERS, BACKTESTING, NAUTILUS)
WORKS = {
    "brackets": (OURS, RUST, NUMBA, ORDERS),
    "slice": (OURS, BACKTESTING, NAUTILUS),
    "sweep": (OURS, RUST, NUMBA),
}


def main() -> None:
    arguments = _arguments()
    sizes = QUICK if arguments.quick else FULL

    def say(what: str) -> None:
        print(f"... {what}", file=sys.stderr, flush=True)

    bars = sizes.sessions * BARS_A_SESSION
    described = {
        "brackets": (
            f"Inside-bar brackets, {sizes.symbols * bars:,} bars of {sizes.symbols} Symbols",
            sizes.symbols * bars,
        ),
        "slice": (
            f"The same, {sizes.few * BARS_A_SESSION:,} bars of one Symbol",
            sizes.few * BARS_A_SESSION,
        ),
        "sweep": (f"A sweep, {sizes.sets} sets over {bars:,} bars", sizes.sets * bars),
    }
    wanted = [way for way in ALL if not arguments.ways or way in arguments.ways]
    for way in wanted:
        if (why := skipped(way, arguments.nautilus)) is not None:
            say(f"{way} skipped: {why}")
    able = [way for way in wanted if skipped(way, arguments.nautilus) is None]
    tables = {}
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=arguments.directory) as name:
        directory = Path(name).resolve()
        about = machine(directory)
        make(directory / "warm", QUICK, list(WORKS), say)
        works = make(directory, sizes, arguments.parts, say)
        for work in arguments.parts:
            ways = [way for way in WORKS[work] if way in able]
            if ways:
                rounds = arguments.rounds or sizes.rounds
                found = in_turn(work, works[work], directory / "warm", ways, rounds, arguments.nautilus, say)
                title, units = described[work]
                tables[work] = Table(title, units, found)
    print(as_markdown(about, tables, claims(tables)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, its figures mean nothing")
    parser.add_argument("--parts", nargs="*", choices=list(WORKS), default=list(WORKS))
    parser.add_argument("--ways", nargs="*", choices=ALL, metavar="WAY", help=f"which of: {'; '.join(ALL)}")
    parser.add_argument("--rounds", type=int, help="how often each way has its turn")
    parser.add_argument(
        "--nautilus", type=Path, default=NAUTILUS_PYTHON, help="Python of an environment with nautilus_trader"
    )
    parser.add_argument(
        "--directory", type=Path, default=ROOT, help="on the disk that is meant; a temporary one is made inside it"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
