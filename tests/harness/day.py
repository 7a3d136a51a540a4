"""A day's chain, as an operator sees it through the webserver: which runs there were, and what they materialised."""

from collections.abc import Mapping, Sequence

from harness.graphql import Run
from harness.installation import Installation
from trading_assets.configured import variant_names
from trading_assets.settings import Settings

CHAIN = ("market_data_job", "research_job", "trading_job", "report_job")
# One asset of each stage, in the order in which the stages follow each other.
STAGES = ("m1_raw", "m1_bars", "m5_bars", "signals", "backtest", "order_batch", "portfolio_worth")


def wait_for_day(desk: Installation, session: str, seconds: float) -> Mapping[str, Run]:
    """The runs of the chain for a session, all ended well; exactly one a job.

    Raises:
        NotInTime: the chain did not end in time.
        AssertionError: a job ran twice, or failed.
    """

    def chain_ended() -> dict[str, list[Run]] | None:
        by_job: dict[str, list[Run]] = {job: [] for job in CHAIN}
        for run in desk.graphql.runs():
            if run.job in by_job and run.tags.get("session") == session:
                by_job[run.job].append(run)
        broken = [run for runs in by_job.values() for run in runs if run.status in ("FAILURE", "CANCELED")]
        assert not broken, f"{broken}\n{desk.graphql.failures(broken[0].run_id)}"
        done = all(runs and all(run.status == "SUCCESS" for run in runs) for runs in by_job.values())
        return by_job if done else None

    found = desk.processes.wait_until(f"the day of {session} ends with its report", chain_ended, seconds, every=0.5)
    assert {job: len(runs) for job, runs in found.items()} == dict.fromkeys(CHAIN, 1)
    return {job: runs[0] for job, runs in found.items()}


def materialised_at(desk: Installation, session: str) -> dict[str, float]:
    """When the session's first partition of each asset of `STAGES` was materialised, in seconds since the epoch."""
    times = {}
    for asset in STAGES:
        of_session = [m for m in desk.graphql.materializations(asset) if session in m["partition"].split("|")]
        assert of_session, f"{asset} was not materialised for {session}"
        times[asset] = min(float(m["timestamp"]) / 1000 for m in of_session)
    return times


def load_history_before_the_start(desk: Installation, sessions: Sequence[str]) -> None:
    """As :func:`load_history`, by the command line while no daemon runs: no sensor sees a history half loaded."""
    variants = variant_names(Settings.load(desk.home, env={}))
    first, last = sessions[0], sessions[-1]
    for groups, start, end in (
        (("market_data", "bars", "features"), first, last),
        (("signals", "backtests"), f"{first}|{variants[0]}", f"{last}|{variants[-1]}"),
    ):
        selection = " or ".join(f"group:{group}" for group in groups)
        done = desk.trading("materialise", selection, "--from", start, "--to", end)
        assert done.returncode == 0, done.stdout + done.stderr


def load_history(desk: Installation, sessions: Sequence[str], seconds: float = 120) -> None:
    """Market data, signals and backtests of a range of sessions, one run each, launched by hand: nothing follows them."""
    variants = variant_names(Settings.load(desk.home, env={}))
    first, last = sessions[0], sessions[-1]
    for job, start, end in (
        ("market_data_job", first, last),
        ("research_job", f"{first}|{variants[0]}", f"{last}|{variants[-1]}"),
    ):
        tags = {"dagster/asset_partition_range_start": start, "dagster/asset_partition_range_end": end}
        run = desk.wait_for_run(desk.graphql.launch(job, tags), seconds)
        assert run.status == "SUCCESS", desk.graphql.failures(run.run_id)
