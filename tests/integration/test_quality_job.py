"""The quality job on a small lake with faults in it: figures, verdicts, pages, checks and alerts; one process, one library."""

import csv
import datetime as dt
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest

from jobs.groups import group_jobs
from jobs.quality import QUALITY_JOB, quality_job
from resources.configurable import ClockResource, LakeResource
from resources.lake import open_lake
from resources.lake.publish import Publisher
from sensors.alerts import alerts_of_run
from sensors.quality import quality_sensor
from trading.bars import assemble_m1, daily_quality, resample
from trading.sessions import get_calendar
from trading_assets.quality import outlier_assets, quality_pages, quality_plan, suite_checks
from trading_assets.settings import Settings
from trading_assets.warehouse import warehouse_assets

pytestmark = pytest.mark.slow

SYMBOLS = ["AAA", "BBB", "CCC", "DDD", "EEE"]
CALENDAR = get_calendar("XNYS")
DAYS = CALENDAR.sessions(dt.date(2024, 1, 2), dt.date(2024, 2, 6))
MINUTE_DAYS = DAYS[-3:]
FALSE_LOW, COPIED, LAST = DAYS[-5], DAYS[-4], DAYS[-1]


def minutes() -> pl.DataFrame:
    """Random walks; EEE has none in the last session, and a minute of DDD there is 20 % too high."""
    random = np.random.default_rng(11)
    frames = []
    for number, symbol in enumerate(SYMBOLS):
        price = 50.0 * (number + 1)
        for day in MINUTE_DAYS:
            steps = price * np.exp(np.cumsum(random.normal(0, 4e-4, 391)))
            opens, closes = steps[:-1], steps[1:]
            highs = np.maximum(opens, closes) * (1 + random.uniform(0, 2e-4, 390))
            if symbol == "DDD" and day == LAST:
                highs[200] *= 1.2
            frames.append(
                pl.DataFrame(
                    {
                        "Symbol": pl.repeat(symbol, 390, dtype=pl.String, eager=True),
                        "Timestamp": pl.datetime_range(
                            CALENDAR.open(day), CALENDAR.close(day), "1m", closed="left", eager=True
                        ).cast(pl.Datetime("us", "UTC")),
                        "Open": opens,
                        "High": highs,
                        "Low": np.minimum(opens, closes) * (1 - random.uniform(0, 2e-4, 390)),
                        "Close": closes,
                        "Volume": random.integers(100, 1000, 390),
                    }
                )
            )
            price = float(closes[-1])
    bars = pl.concat(frames)
    return bars.filter(~((pl.col("Symbol") == "EEE") & (pl.col("Timestamp") >= CALENDAR.open(LAST))))


def daily(rolled_up: pl.DataFrame) -> pl.DataFrame:
    """The vendor's daily bars: those of the minutes at their end, earlier ones leading up to them.

    CCC has a low of a tenth, DDD repeats a session, and BBB's last volume is twice that of its minutes.
    """
    random = np.random.default_rng(12)
    parts = []
    for symbol in SYMBOLS:
        own = rolled_up.filter(pl.col("Symbol") == symbol).sort("session")
        before = DAYS[: -len(MINUTE_DAYS)]
        steps = own["Open"][0] * np.exp(np.cumsum(random.normal(0, 8e-3, len(before) + 1))[::-1])
        opens, closes = steps[:-1], steps[1:]
        closes[-1] = own["Open"][0]
        parts.append(
            pl.DataFrame(
                {
                    "Symbol": pl.repeat(symbol, len(before), dtype=pl.String, eager=True),
                    "Timestamp": [CALENDAR.open(day) for day in before],
                    "Open": opens,
                    "High": np.maximum(opens, closes) * (1 + random.uniform(0, 4e-3, len(before))),
                    "Low": np.minimum(opens, closes) * (1 - random.uniform(0, 4e-3, len(before))),
                    "Close": closes,
                    "Volume": random.integers(100_000, 300_000, len(before)),
                    "session": before,
                },
                schema_overrides={"Timestamp": pl.Datetime("us", "UTC")},
            )
        )
        parts.append(own.select(parts[-1].columns))
    bars = pl.concat(parts).sort("Symbol", "session")
    low = (pl.col("Symbol") == "CCC") & (pl.col("session") == FALSE_LOW)
    twice = (pl.col("Symbol") == "BBB") & (pl.col("session") == LAST)
    copied = (pl.col("Symbol") == "DDD") & (pl.col("session") == COPIED)
    figures = ("Open", "High", "Low", "Close", "Volume")
    return bars.with_columns(
        Low=pl.when(low).then(pl.col("Low") / 10).otherwise("Low"),
        Volume=pl.when(twice).then(pl.col("Volume") * 2).otherwise("Volume"),
    ).with_columns(pl.when(copied).then(pl.col(name).shift()).otherwise(pl.col(name)).alias(name) for name in figures)


@dataclass
class Desk:
    """A filled lake, the definitions over it, and what the quality job did."""

    settings: Settings
    instance: dg.DagsterInstance
    definitions: dg.Definitions
    job: Any
    run: dg.ExecuteInProcessResult

    @property
    def checks(self) -> dict[str, Any]:
        found = [
            event.asset_check_evaluation_data
            for event in self.run.all_events
            if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
        ]
        return {check.check_name.removeprefix("quality_"): check for check in found}

    def says(self, suite: str) -> str:
        return str(self.checks[suite].description)


def fill(settings: Settings) -> None:
    publisher = Publisher(
        open_lake(settings.lake_uri),
        run_id="r",
        code_version="1",
        clock=lambda: dt.datetime(2024, 2, 21, tzinfo=dt.UTC),
    )

    def publish(dataset: str, frame: pl.DataFrame, **keys: str) -> None:
        publisher.publish(dataset, keys, {"data.parquet": frame}, audit=None, inputs={})

    assembled = assemble_m1([minutes()])
    quality = daily_quality(assembled, expected=SYMBOLS)
    bars = {name: resample(assembled.bars, name, policy="keep") for name in ("5m", "15m", "1h", "1d")}
    # One share too many in one five-minute bar: the sums do not agree any more.
    first = pl.int_range(pl.len()) == 0
    bars["5m"] = bars["5m"].with_columns(Volume=pl.when(first).then(pl.col("Volume") + 1).otherwise("Volume"))
    vendor = daily(bars["1d"])
    for day in DAYS:
        publish("d1_raw", vendor.filter(pl.col("session") == day), session=str(day), universe="us")
    datasets = {"m1_bars": assembled.bars, "bar_quality": quality}
    datasets |= dict(zip(("m5_bars", "m15_bars", "h1_bars", "d1_bars"), bars.values(), strict=True))
    for name, frame in datasets.items():
        for day in MINUTE_DAYS:
            publish(name, frame.filter(pl.col("session") == day), session=str(day))
    actions = {"Symbol": "AAA", "ex_date": LAST, "kind": "split", "ratio": 2.0, "amount": None}  # a split that was none
    schema = {"Symbol": pl.String, "ex_date": pl.Date, "kind": pl.String, "ratio": pl.Float64, "amount": pl.Float64}
    publish("corporate_actions", pl.DataFrame([actions], schema=schema))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    settings = Settings(home=tmp_path_factory.mktemp("quality"), label="SYNTHETIC market")
    fill(settings)
    made = [*outlier_assets(settings), *warehouse_assets(settings)]
    names = {key.to_user_string() for asset in made for key in asset.keys}
    others = ["m1_bars", "m5_bars", "m15_bars", "h1_bars", "d1_bars", "d1_raw", "bar_quality", "universe", "signals"]
    others += ["corporate_actions", "backtest", "promotion_decision", "order_batch", "order_routing", "portfolio_worth"]
    suites = suite_checks(settings, names | set(others))
    definitions = dg.Definitions(
        assets=[*made, *(dg.AssetSpec(name) for name in others)],
        asset_checks=[suites],
        jobs=[job := quality_job(suites), dg.define_asset_job("build", dg.AssetSelection.groups("warehouse"))],
        resources={"lake": LakeResource(uri=settings.lake_uri), "clock": ClockResource()},
        executor=dg.in_process_executor,
    )
    with dg.DagsterInstance.ephemeral() as instance:
        built = definitions.resolve_job_def("build").execute_in_process(instance=instance)
        assert built.success
        run = definitions.resolve_job_def(QUALITY_JOB).execute_in_process(instance=instance)
        yield Desk(settings, instance, definitions, job, run)


def test_the_job_succeeds_whatever_it_finds(desk: Desk) -> None:
    assert desk.run.success
    assert {name for name, check in desk.checks.items() if not check.passed} == {
        "bar_quality",
        "corporate_actions",
        "d1_bars",  # a split that was none makes a gap of its size
        "d1_raw",
        "m1_bars",
        "m5_bars",
        "minutes_against_daily",
    }
    assert all(not check.blocking for check in desk.checks.values())


def test_a_suite_without_data_is_skipped_with_its_reason(desk: Desk) -> None:
    without = {"universe", "signals", "backtest_metrics", "order_intents", "portfolio_worth"}
    assert without.isdisjoint(desk.checks)
    index = (quality_pages(desk.settings) / "index.html").read_text()
    for suite in without:
        assert f"{suite} has no row in the sessions {DAYS[-5]} to {LAST}" in index


@pytest.mark.parametrize(
    ("suite", "severity", "words"),
    [
        ("d1_raw", "ERROR", ["copied_session: 1 of", f"us DDD {COPIED}"]),
        ("d1_raw", "ERROR", ["false_prices: 2 of", f"worst us CCC {FALSE_LOW}", "price_outliers"]),
        ("m1_bars", "WARN", ["widest_minute: 1 of 14 rows", f"DDD {LAST}"]),
        ("m5_bars", "ERROR", ["volume_adds_up: 1 of 14 rows", f"AAA {MINUTE_DAYS[0]} with volume_off 1 (limit 0)"]),
        ("minutes_against_daily", "WARN", ["volume_ratio: 1 of 14 rows", f"us BBB {LAST} with volume_ratio 0.5"]),
        ("bar_quality", "ERROR", ["missing_alone: 1 of 15 rows", f"EEE {LAST}"]),
        ("corporate_actions", "ERROR", ["split: 1 of 1 rows", f"AAA {LAST} split", "Look: a wrong ratio"]),
    ],
)
def test_a_failed_check_says_what_where_and_what_to_do(desk: Desk, suite: str, severity: str, words: list[str]) -> None:
    assert desk.checks[suite].severity.name == severity
    for word in words:
        assert word in desk.says(suite)
    metadata = desk.checks[suite].metadata
    assert {"figure", "limit", "command", "findings", "data_docs"} <= set(metadata)
    assert Path(metadata["data_docs"].url.removeprefix("file://")).exists()


def test_the_alerts_carry_it(desk: Desk) -> None:
    run = desk.instance.get_run_by_id(desk.run.run_id)
    assert run is not None
    alerts = {alert.title: alert for alert in alerts_of_run(desk.instance, run, "http://ui", ClockResource())}
    found = alerts["Check quality_d1_raw failed on d1_raw"]
    assert found.severity == "error"
    assert str(COPIED) in found.what and "CCC" in found.what
    assert found.limit == "at most 0"
    assert alerts["Check quality_minutes_against_daily failed on minutes_against_daily"].severity == "warning"
    assert "Run of quality_job failed" not in alerts


def test_the_pages_need_nothing_from_elsewhere_and_name_every_row(desk: Desk) -> None:
    site = quality_pages(desk.settings)
    pages = sorted(site.rglob("*.html"))
    assert len(pages) == 1 + 2 * len(desk.checks)  # the index; each suite's expectations and their validation
    for page in pages:
        text = page.read_text()
        assert "<script" not in text and 'src="http' not in text and '<link rel="stylesheet" href="http' not in text
        assert "default-src 'none'" in text
    [validation] = (site / "validations" / "d1_raw").rglob("*.html")
    text = validation.read_text()
    assert "no price lies where no trade can have been made" in text and "CCC" in text and str(FALSE_LOW) in text
    index = (site / "index.html").read_text()
    assert "SYNTHETIC market" in index
    assert validation.relative_to(site).as_posix() in index
    rows = list(csv.DictReader((site / "findings.csv").read_text().splitlines()))
    found = {(row["suite"], row["expectation"], row["Symbol"], row["session"]) for row in rows}
    assert ("d1_raw", "false_prices", "CCC", str(FALSE_LOW)) in found
    assert ("bar_quality", "missing_alone", "EEE", str(LAST)) in found
    assert [path.name for path in site.parent.iterdir()] == ["docs"]


def test_false_prices_are_a_table_of_the_lake_and_of_the_warehouse(desk: Desk) -> None:
    from resources.warehouse import open_warehouse

    sql = "SELECT dataset, universe, Symbol, session, rule FROM price_outliers ORDER BY ALL"
    with open_warehouse(desk.settings.warehouse_path) as warehouse:
        assert warehouse.execute(sql).fetchall() == [
            ("d1_raw", "us", "CCC", FALSE_LOW, "low_wick"),
            ("d1_raw", "us", "DDD", LAST, "high_wick"),
        ]


def test_what_was_accepted_stays_on_the_pages_and_rings_no_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from resources.expectations import QualityPlan
    from trading_assets.quality import judge_warehouse

    plan = quality_plan(desk.settings)
    content = plan.model_dump(by_alias=True)
    content["suites"] = {name: suite for name, suite in content["suites"].items() if name in ("d1_raw", "h1_bars")}
    content["accepted"] = [
        {"suite": "d1_raw", "expectation": "false_prices", "reason": "agreed with the vendor"},
        {"suite": "d1_raw", "expectation": "copied_session", "session": COPIED, "reason": "a holiday abroad"},
    ]
    lake = LakeResource(uri=desk.settings.lake_uri)
    home = desk.settings.home / "accepted"
    home.mkdir()
    elsewhere = desk.settings.model_copy(update={"home": home})
    (home / "warehouse.duckdb").symlink_to(desk.settings.warehouse_path)

    def refused(*_: Any) -> None:
        raise AssertionError("judging opens no connection")

    monkeypatch.setattr(socket.socket, "connect", refused)
    steps: list[tuple[int, int]] = []
    outcome = judge_warehouse(
        elsewhere,
        QualityPlan.model_validate(content),
        lake,
        ClockResource(),
        newest=None,
        progress=lambda _, done, of: steps.append((done, of)),
    )
    h1_bars, d1_raw = outcome.suites
    assert h1_bars.passed
    assert d1_raw.rows == len(SYMBOLS) * len(DAYS) - 1  # EEE has no minutes in the last session, and here no daily bar
    assert {verdict.name for verdict in d1_raw.failed}.isdisjoint({"false_prices", "copied_session"})
    assert [len(v.findings) for v in d1_raw.verdicts if v.name in ("false_prices", "copied_session")] == [2, 1]
    assert "agreed with the vendor" in (quality_pages(elsewhere) / "index.html").read_text()
    assert steps[-1][0] == steps[-1][1]


def test_a_run_that_materialises_leaves_quality_to_its_own_job(desk: Desk) -> None:
    evaluated = [
        entry.dagster_event.asset_check_evaluation_data.check_name
        for run in desk.instance.get_runs()
        if run.job_name == "build"
        for entry in desk.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        if entry.dagster_event is not None
    ]
    assert evaluated and not [name for name in evaluated if name.startswith("quality_")]


def test_one_suite_by_hand_leaves_the_pages_whole_and_a_dataset_not_kept_here_has_no_check(desk: Desk) -> None:
    kept = {key.asset_key.to_user_string() for key in desk.definitions.resolve_asset_graph().asset_check_keys} - {
        "d1_raw"
    }
    suites = suite_checks(desk.settings, kept | {"d1_raw_elsewhere"})
    assert "quality_d1_raw" not in {spec.name for spec in suites.check_specs}
    only = next(spec.key for spec in suites.check_specs if spec.name == "quality_h1_bars")
    definitions = dg.Definitions(
        assets=[dg.AssetSpec(name) for name in kept],
        asset_checks=[suites],
        jobs=[dg.define_asset_job(QUALITY_JOB, dg.AssetSelection.checks(only), executor_def=dg.in_process_executor)],
        resources={"lake": LakeResource(uri=desk.settings.lake_uri), "clock": ClockResource()},
    )
    run = definitions.resolve_job_def(QUALITY_JOB).execute_in_process(instance=desk.instance)
    assert run.success
    evaluated = [event for event in run.all_events if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION]
    assert [event.asset_check_evaluation_data.check_name for event in evaluated] == ["quality_h1_bars"]
    assert len(list((quality_pages(desk.settings) / "validations").iterdir())) == len(desk.checks)


def test_the_job_follows_the_report_of_the_daily_chain_only(desk: Desk) -> None:
    [report] = [job for job in group_jobs() if job.name == "report_job"]
    sensor = quality_sensor(report, desk.job)
    assert sensor.name == "quality_job_after_report_job"

    @dg.job(name="report_job")
    def reported() -> None:
        pass

    def asked(**tags: str) -> Any:
        result = reported.execute_in_process(instance=desk.instance, tags=tags)
        [event] = desk.instance.all_logs(result.run_id, of_type=dg.DagsterEventType.RUN_SUCCESS)
        context = dg.build_run_status_sensor_context(
            sensor_name=sensor.name,
            dagster_event=event.get_dagster_event(),
            dagster_instance=desk.instance,
            dagster_run=result.dagster_run,
        )
        return sensor(context)

    request = asked(session="2024-02-06")
    assert isinstance(request, dg.RunRequest) and request.tags == {"session": "2024-02-06"}
    assert isinstance(asked(), dg.SkipReason)
