"""When the kill-switch job is asked for: once a breach, again after a failure, never again once it has succeeded."""

import datetime as dt
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
from click.testing import CliRunner

from jobs.kill_switch import KILL_SWITCH_JOB, kill_switch_job
from resources.configurable import AlertsResource, BrokerResource, ClockResource, LedgerResource
from resources.ledger import KillSwitch, Ledger
from sensors.kill_switch import MOST_ATTEMPTS, kill_switch_sensor
from trading.risk.breakers import Breach
from trading_assets.commands.operate import resume

BREACH = Breach(
    f"daily_loss:paper:{dt.date(2023, 11, 24)}", "daily_loss", "global", 6.0, 5.0, "account paper lost 6.00 %"
)
S, F, C, STARTED = (
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
    dg.DagsterRunStatus.STARTED,
)


def _asked(breaches: list[Breach], earlier: list[dg.DagsterRunStatus]) -> list[tuple[str | None, str]]:
    """Run key and breach of each request, after runs of the breach that ended as in ``earlier``."""
    sensor = kill_switch_sensor(kill_switch_job(list), lambda _: breaches)
    resources = {
        "ledger": LedgerResource(url="sqlite://"),
        "brokers": BrokerResource(state_dir="."),
        "alerts": AlertsResource(folder=".", channel="", token_env="", base_url="", ui_url=""),
        "clock": ClockResource(),
    }
    with dg.DagsterInstance.ephemeral() as instance:
        for status in earlier:
            run = dg.DagsterRun(
                job_name=KILL_SWITCH_JOB, run_id=str(uuid4()), status=status, tags={"breach_id": BREACH.breach_id}
            )
            instance.add_run(run)
        context = dg.build_sensor_context(instance=instance, resources=resources)
        result = sensor.evaluate_tick(context)
    return [(request.run_key, request.tags["breach_id"]) for request in result.run_requests or []]


@pytest.mark.parametrize(
    ("earlier", "key"),
    [
        ([], BREACH.breach_id),
        ([F], f"{BREACH.breach_id}:attempt-2"),
        ([F, F], f"{BREACH.breach_id}:attempt-3"),
        ([S], None),
        ([F, S], None),
        ([F, STARTED], None),
        ([C], None),
        ([F] * MOST_ATTEMPTS, None),
    ],
)
def test_a_breach_is_asked_for_until_a_run_of_it_succeeds(earlier: list[dg.DagsterRunStatus], key: str | None) -> None:
    assert _asked([BREACH], earlier) == ([(key, BREACH.breach_id)] if key else [])


def test_within_limits_nothing_is_asked_for() -> None:
    assert _asked([], []) == []


def test_a_stop_that_was_cut_off_is_gone_on_with_once() -> None:
    """The request records nothing new: it cancels in the scope of the switch that is engaged."""
    at = dt.datetime(2023, 11, 24, 15, tzinfo=dt.UTC)
    switch = KillSwitch(True, "book:paper/v", "drill", "Ada", at, flatten=True)
    sensor = kill_switch_sensor(kill_switch_job(list), lambda _: [], lambda _, __: [switch])
    resources = {
        "ledger": LedgerResource(url="sqlite://"),
        "brokers": BrokerResource(state_dir="."),
        "alerts": AlertsResource(folder=".", channel="", token_env="", base_url="", ui_url=""),
        "clock": ClockResource(),
    }
    with dg.DagsterInstance.ephemeral() as instance:
        (request,) = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, resources=resources)).run_requests
        config = request.run_config["ops"]["engage_kill_switch"]["config"]
        assert (config["scope"], config["go_on"], config["flatten"]) == ("book:paper/v", True, True)
        run = dg.DagsterRun(job_name=KILL_SWITCH_JOB, run_id=str(uuid4()), status=STARTED, tags=request.tags)
        instance.add_run(run)
        again = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, resources=resources))
    assert request.run_key == f"unfinished:book:paper/v:{at}" and again.run_requests == []


@pytest.mark.parametrize("arguments", [[], ["--by", "Ada"], ["--reason", "mended"], ["--by", "", "--reason", "mended"]])
def test_a_release_without_a_name_or_a_reason_is_refused(arguments: list[str], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger(url)
    ledger.engage("global", "drill", "Ada", dt.datetime(2023, 11, 24, 15, tzinfo=dt.UTC))
    outcome = CliRunner().invoke(resume, ["--home", str(tmp_path), *arguments], env={"LEDGER_URL": url})
    assert outcome.exit_code != 0 and ledger.is_engaged("paper", "v")
    outcome = CliRunner().invoke(
        resume, ["--home", str(tmp_path), "--by", "Ada", "--reason", "mended"], env={"LEDGER_URL": url}
    )
    assert outcome.exit_code == 0, outcome.output
    assert not ledger.is_engaged("paper", "v")
    ledger.close()
