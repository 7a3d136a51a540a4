"""`trading demo`: the whole chain on a synthetic market or on a person's own minutes, from raw rows to paper orders."""

import datetime as dt
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import yaml
from rich.console import Console

from jobs.groups import MARKET_DATA_JOB, PROMOTION_JOB, REPORT_JOB, RESEARCH_JOB, TRADING_JOB
from trading.errors import ConfigError, DataError
from trading_assets.configured import account_names, variant_names
from trading_assets.progress import StageProgress
from trading_assets.runs import RunOutcome, contiguous, local_instance, run_job
from trading_assets.settings import Settings, read_yaml

if TYPE_CHECKING:
    from resources.sources.folder import FolderSource

SYNTHETIC_SEED = 7
_SKIPS_SHOWN = 8
_ACTIONS = "corporate_actions.csv"
_HEADLINE = "# Written by `trading demo`; what it says wins over configs/platform.yaml.\n"


@dataclass
class DemoResult:
    """What a demo did: the outcome of each run, and how long the whole took."""

    settings: Settings
    sessions: list[dt.date]
    outcomes: list[RunOutcome] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def total(self, kind: str) -> int:
        return sum(sum(getattr(outcome, kind).values()) for outcome in self.outcomes)

    @property
    def failed(self) -> list[RunOutcome]:
        return [outcome for outcome in self.outcomes if not outcome.success]


def default_home(data: Path | None) -> Path:
    """Each data folder has a home of its own, so that two markets never mix in one lake."""
    base = Path(os.environ.get("TRADING_HOME") or Path(".trading") / "demo")
    if data is None:
        return base
    slug = re.sub(r"[^a-z0-9]+", "-", data.resolve().name.lower()).strip("-") or "data"
    return base.parent / slug


def run_demo(home: Path, data: Path | None, console: Console) -> DemoResult:
    """Run the chain; idempotent, a second run publishes nothing and sends nothing.

    Raises:
        ConfigError, DataError: the folder cannot be used; the message says what would be right.
    """
    started = time.monotonic()
    with console.status("reading the data folder"):
        settings, source = _prepare(home, data)
        sessions = sorted(source.sessions(settings.calendar))
    result = DemoResult(
        settings, sessions, problems=[f"{problem.file}: {problem.message}" for problem in source.problems()]
    )
    if not sessions:
        raise DataError(
            f"{source.name} holds no row on a session of {settings.calendar}; "
            "every timestamp falls on a holiday or a weekend. Is the calendar right (setting `calendar`)?"
        )
    console.print(
        f"[bold]{settings.label}[/bold]\n{len(source.symbols())} Symbols, {len(sessions)} sessions, "
        f"{sessions[0]} to {sessions[-1]}; home {settings.home}"
    )
    for problem in result.problems:
        console.print(f"[yellow]left out:[/yellow] {problem}")
    skips = source.skips(settings.calendar)
    for skip in skips[:_SKIPS_SHOWN]:
        console.print(f"[yellow]skipped:[/yellow] {skip.file}: {skip.reason}")
    if len(skips) > _SKIPS_SHOWN:
        console.print(f"[yellow]skipped:[/yellow] and {len(skips) - _SKIPS_SHOWN} more, in the metadata of m1_raw")

    from trading_assets.definitions import build_defs

    defs = build_defs(settings)
    with local_instance(settings) as instance, StageProgress(console) as progress:
        for stage in _stages(settings, sessions):
            progress.begin(stage.title, stage.steps)
            job = defs.resolve_job_def(stage.job)
            for first, last in stage.ranges:
                outcome = run_job(
                    job,
                    instance,
                    first,
                    last,
                    tags={"started_by": "trading demo"},
                    progress=progress.advance,
                )
                result.outcomes.append(outcome)
            progress.end()
        _alert_about(result, instance)
    result.seconds = time.monotonic() - started
    return result


@dataclass(frozen=True)
class _Stage:
    title: str
    job: str
    ranges: list[tuple[str, str]]
    steps: int


def _stages(settings: Settings, sessions: list[dt.date]) -> Iterator[_Stage]:
    from trading.sessions import get_calendar

    calendar = get_calendar(settings.calendar)
    spans = contiguous(sessions, calendar.sessions(sessions[0], sessions[-1]))
    variants, accounts = variant_names(settings), account_names(settings)
    days = len(sessions)
    alone = [(first.isoformat(), last.isoformat()) for first, last in spans]
    # Dagster orders the dimensions of a key by name: account|session, session|variant.
    by_variant = [(f"{first}|{variants[0]}", f"{last}|{variants[-1]}") for first, last in alone]
    by_account = [(f"{accounts[0]}|{first}", f"{accounts[-1]}|{last}") for first, last in alone]
    last_only = [(alone[-1][1], alone[-1][1])]
    yield _Stage("market data and bars", MARKET_DATA_JOB, alone, days * 11 + len(spans))
    yield _Stage("signals and backtests", RESEARCH_JOB, by_variant, days * len(variants) * 2)
    yield _Stage("promotion decisions", PROMOTION_JOB, by_variant, days * len(variants))
    yield _Stage("paper trading", TRADING_JOB, by_account, days * len(accounts) * 4)
    yield _Stage("warehouse and report", REPORT_JOB, last_only, 2)


def _prepare(home: Path, data: Path | None) -> tuple[Settings, "FolderSource"]:
    """Write the home's platform.yaml for this data and open the source."""
    from resources.sources.folder import FolderSource

    home = home.resolve()
    path = "data" if data is None else str(data.resolve())
    _claim(home, path)
    home.mkdir(parents=True, exist_ok=True)
    if data is None:
        from resources.sources.synthetic_package import write_corporate_actions, write_package
        from trading.synthetic import SyntheticMarket

        folder = home / "data"
        market = SyntheticMarket(seed=SYNTHETIC_SEED)
        write_package(folder, market)
        write_corporate_actions(home / _ACTIONS, market)
    else:
        folder = data.resolve()
    calendar = Settings.load(home).calendar
    source = FolderSource(folder)
    sessions = sorted(source.sessions(calendar))
    content: dict[str, object] = {
        "label": source.label or f"{folder.name}: minutes of {folder}",
        "promotion_policy": "demo/promotion.yaml",
    }
    if sessions:
        content |= {"first_session": sessions[0].isoformat(), "last_session": sessions[-1].isoformat()}
    filters = read_yaml(Settings.load(home).configs / "demo" / "universe.yaml")
    universe: dict[str, object] = {"source": {"kind": "folder", "path": path}, **filters}
    if data is None:
        universe["corporate_actions"] = {"kind": "csv", "path": _ACTIONS}
    _write_settings(home / "universes" / "demo.yaml", universe)
    _write_settings(home / "platform.yaml", content)
    return Settings.load(home), source


def _claim(home: Path, source: str) -> None:
    """Refuse a home that is not a demo's own for this very data: its settings, lake and ledger may be somebody's work.

    Raises:
        ConfigError: the home holds something else.
    """
    file = home / "platform.yaml"
    if file.exists():
        if not file.read_text(encoding="utf-8").startswith(_HEADLINE):
            raise ConfigError(f"{file} was not written by `trading demo`; choose another home with --home DIR")
        held = _held(home / "universes" / "demo.yaml")
        if held != source:
            raise ConfigError(
                f"the home {home} holds the demo of {held}, not of {source}; choose another with --home DIR"
            )
    elif any((home / name).exists() for name in ("lake", "ledger.db", "broker")):
        raise ConfigError(f"{home} is in use and was not made by `trading demo`; choose another home with --home DIR")


def _held(file: Path) -> str | None:
    source = read_yaml(file).get("source") if file.exists() else None
    return str(source["path"]) if isinstance(source, dict) and "path" in source else None


def _write_settings(file: Path, content: dict[str, object]) -> None:
    """Settings of a demo home follow its data; a person's own lines in it are kept."""
    existing = read_yaml(file) if file.exists() else {}
    merged = {**existing, **content}
    if merged == existing:
        return
    file.parent.mkdir(exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.part")
    partial.write_text(_HEADLINE + yaml.safe_dump(merged, sort_keys=False, allow_unicode=True), encoding="utf-8")
    partial.replace(file)


def _alert_about(result: DemoResult, instance: dg.DagsterInstance) -> None:
    """Without a daemon beside it the demo raises the alerts of its own runs, as the sensor would."""
    from resources.configurable import ClockResource
    from sensors.alerts import alerts_of_run
    from trading_assets.definitions import configured_resources

    alerts = configured_resources(result.settings)["alerts"]
    sink, clock = alerts.open(), ClockResource()
    for outcome in result.outcomes:
        run = instance.get_run_by_id(outcome.run_id)
        if run is not None:
            for alert in alerts_of_run(instance, run, alerts.ui_url, clock):
                sink.send(alert)
