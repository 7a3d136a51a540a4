"""``python -m benchmarks.orders``: measures the kill switch and the way to Interactive Brokers, and prints the tables."""

import argparse
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.lake.machine import machine
from benchmarks.orders.kill import Stopped, stop_once
from benchmarks.orders.report import as_markdown
from benchmarks.orders.sending import measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of 5 orders: shows that it runs")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--directory", default=".", help="on the disk to be measured")
    arguments = parser.parse_args()
    orders, rounds = (5, 1) if arguments.quick else (100, arguments.rounds)
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=arguments.directory) as name:
        folder = Path(name).resolve()
        about = machine(folder)
        stop_once(folder / "warm", 5)
        found: list[Stopped] = [stop_once(folder / f"round{number}", orders) for number in range(rounds)]
        sending = measure(folder / "sending", 5 if arguments.quick else 50)
    print(as_markdown(about, orders, found, median(one.total_ms for one in found)))
    print(f"\n{sending}")


if __name__ == "__main__":
    main()
