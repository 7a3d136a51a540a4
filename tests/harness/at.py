"""Run one of Dagster's services with its clock shifted: `python at.py SECONDS webserver|daemon ARGUMENTS...`.

A daily schedule ticks once a day; with the clock set to a quarter past midnight the real daemon ticks it now. Shifted
is what Dagster itself offers to tests as mockable: the time at which it evaluates schedules and sensors. Code servers
and runs are other processes and keep the machine's clock.
"""

import sys
import time
from datetime import datetime, timedelta, timezone


def main() -> None:
    offset, service = float(sys.argv[1]), sys.argv[2]
    sys.argv = [f"dagster-{service}", *sys.argv[3:]]
    from dagster import _time

    _time._mockable_get_current_timestamp = lambda: time.time() + offset
    _time._mockable_get_current_datetime = lambda: datetime.now(timezone.utc) + timedelta(seconds=offset)  # noqa: UP017
    if service == "daemon":
        from dagster._daemon.cli import main as serve
    elif service == "webserver":
        from dagster_webserver.cli import main as serve
    else:
        raise SystemExit(f"unknown service {service!r}; webserver or daemon")
    serve()


if __name__ == "__main__":
    main()
