"""`trading strategy`: write a new one, list all, and ask whether one looks ahead."""

import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import polars as pl

from trading.errors import ConfigError
from trading_assets.code_version import ROOT
from trading_assets.commands.options import home_flag, home_option, open_home_lake
from trading_assets.commands.tables import aligned
from trading_assets.settings import Settings, read_yaml

if TYPE_CHECKING:
    from trading.strategies import Params, Strategy
    from trading_assets.causality import CheckBars

_BREACHES = 5  # printed at most
_SYNTHETIC_SESSIONS = {"5m": 12, "15m": 24, "1h": 48, "1d": 120}


@click.group()
def strategy() -> None:
    """Strategies: write a new one, list all, and ask whether one looks ahead."""


@strategy.command()
@click.argument("name")
@click.option(
    "--dir",
    "parent",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where its folder NAME is made. Default: the working folder.",
)
@home_option
def new(name: str, parent: Path, settings: Settings) -> None:
    """Write a complete package for a strategy NAME: code, parameters, test, variant, and the commands to go on with."""
    from trading_assets.strategy_template import write_strategy

    folder = parent.expanduser() / name
    commands = _next_commands(name, folder, settings)
    files = write_strategy(folder, name, "\n".join(command for command, _ in commands))
    for file in files:
        click.echo(f"wrote {file}")
    click.echo("next:")
    for line in aligned([(command, f"# {why}") for command, why in commands], indent="  "):
        click.echo(line)


def _next_commands(name: str, folder: Path, settings: Settings) -> list[tuple[str, str]]:
    """What to run, as seen from the working folder, and why."""
    own = ROOT / ".tools" / "uv"
    uv = _seen(own) if own.exists() else "uv"
    python, target = Path(sys.executable), _seen(folder)
    trading = _seen(python.with_name("trading"))
    home = home_flag(settings)
    return [
        (
            f"{uv} pip install --python {_seen(python)} --no-deps --editable {target}",
            "once; what you edit later is seen at once",
        ),
        (f"{_seen(python.with_name('pytest'))} -q {_seen(folder / 'tests')}", "its tests"),
        (f"{trading} strategy list {name}", "its parameters"),
        (
            f"cp {_seen(folder / f'{name}.yml')} {_seen(settings.configs / 'runs')}/",
            "a variant of it, a partition in the UI",
        ),
        (f"{trading} strategy check {name}{home}", "does it look ahead?"),
        (f"{trading} ui{home}", "materialise signals and backtest of the variant"),
    ]


def _seen(path: Path) -> str:
    """``path`` for a shell in the working folder: relative where it lies below, quoted where it must be."""
    absolute, here = path.absolute(), Path.cwd()
    return shlex.quote(str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute))


@strategy.command("list")
@click.argument("name", required=False)
def list_(name: str | None) -> None:
    """Every registered strategy (or NAME) with its timeframes and parameters: kind, default, meaning."""
    from trading.strategies import get_strategy, registered_strategies
    from trading.strategies.parameter_table import parameters_of

    broken = False
    for number, one in enumerate([name] if name else registered_strategies()):
        if number:
            click.echo()
        try:
            found = get_strategy(one)
        except ConfigError as error:
            if name:
                raise
            click.secho(str(error), fg="red", err=True)
            broken = True
            continue
        click.echo(f"{found.name} ({', '.join(found.timeframes)}): {type(found).__module__}.{type(found).__name__}")
        rows = [(item.name, item.kind, item.default, item.meaning) for item in parameters_of(found.parameters)]
        if not rows:
            click.echo("  no parameters")
            continue
        for line in aligned([("parameter", "kind", "default", "meaning"), *rows], indent="  "):
            click.echo(line)
    if broken:
        sys.exit(1)


@strategy.command()
@click.argument("name")
@click.option(
    "--bars",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Bars of the strategy's timeframe, Parquet or CSV. Default: the newest ones of the home.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of cut points and forgeries.")
@home_option
def check(name: str, file: Path | None, seed: int, settings: Settings) -> None:
    """Does strategy or variant NAME look ahead? Of a strategy its defaults are tried, and every variant that uses it.

    The bars after many cuts are hidden, then forged; signals up to a cut must stay the same to the bit. Status 1 where one
    does not.
    """
    from trading.strategies import check_causality

    cases = list(_cases(settings, name))
    market = _Market(settings, file)
    failed = False
    for case in cases:
        on = market.bars(case)
        click.echo(f"{case.about}, on {on.about}")
        report = check_causality(case.strategy, on.bars, case.params, seed=seed, instruments=on.instruments)
        click.echo(
            f"  tried: the same bars twice; everything after {len(report.cuts)} cuts hidden, and forged; the rest of a block "
            f"hidden or forged after {report.probes} more"
        )
        colour = "green" if report.passed and report.conclusive else "red" if report.breaches else "yellow"
        said = str(report) if report.passed else f"looks ahead: {len(report.breaches)} experiments failed"
        if not report.conclusive:
            said += "; without a signal nothing was put to the test: give other parameters, or more --bars"
        click.secho(f"  {said}", fg=colour)
        for breach in report.breaches[:_BREACHES]:
            click.echo(f"    {breach}")
        if len(report.breaches) > _BREACHES:
            click.echo(f"    ... and {len(report.breaches) - _BREACHES} more")
        failed |= not report.passed
    if failed:
        sys.exit(1)


@dataclass(frozen=True)
class _Case:
    """A strategy with parameters and timeframe, and the universe whose bars it is asked on."""

    about: str
    strategy: "Strategy[Any]"
    params: "Params"
    timeframe: str
    universe: str | None = None


def _cases(settings: Settings, name: str) -> Iterator[_Case]:
    from trading.strategies import get_strategy, registered_strategies
    from trading_assets.configured import variant, variant_names

    variants = variant_names(settings)
    if name in registered_strategies():
        found = get_strategy(name)
        yield _Case(
            f"{name} with its defaults on {found.timeframes[0]}", found, found.read_params(), found.timeframes[0]
        )
        chosen = [one for one in variants if _strategy_of(settings, one) == name]
    elif name in variants:
        chosen = [name]
    else:
        raise ConfigError(
            f"there is no strategy and no variant {name!r}; strategies: {', '.join(registered_strategies())}; "
            f"variants: {', '.join(variants)}"
        )
    for one in chosen:
        loaded = variant(settings, one)
        about = f"variant {one} ({loaded.strategy}) on {loaded.timeframe}"
        yield _Case(about, loaded.implementation, loaded.params, loaded.timeframe, loaded.universe)


def _strategy_of(settings: Settings, variant: str) -> object:
    """What the variant's file names, without looking at the rest of it."""
    files = [settings.configs / "runs" / f"{variant}{suffix}" for suffix in (".yml", ".yaml")]
    return read_yaml(next(file for file in files if file.exists())).get("strategy")


class _Market:
    """Where the bars come from: a file, the home's lake, or a synthetic market where there is none."""

    def __init__(self, settings: Settings, file: Path | None) -> None:
        self.settings = settings
        self.file = None if file is None else _read(file)
        self.name = file
        self._found: dict[tuple[str, str | None], CheckBars] = {}

    def bars(self, case: _Case) -> "CheckBars":
        key = (case.timeframe, case.universe)
        if key not in self._found:
            self._found[key] = self._of(*key)
        return self._found[key]

    def _of(self, timeframe: str, universe: str | None) -> "CheckBars":
        from trading.synthetic import synthetic_bars
        from trading_assets.causality import CheckBars

        if self.file is not None:
            return CheckBars(self.file, {}, f"{self.file.height} bars of {self.name}")
        found = self._of_home(timeframe, universe)
        if found is not None:
            return found
        sessions = _SYNTHETIC_SESSIONS.get(timeframe, _SYNTHETIC_SESSIONS["5m"])
        bars = synthetic_bars(timeframe, sessions=sessions)
        return CheckBars(
            bars,
            {},
            f"a synthetic market of {sessions} sessions, because home {self.settings.home} has no {timeframe} bars",
        )

    def _of_home(self, timeframe: str, universe: str | None) -> "CheckBars | None":
        from resources.lake.reading import Snapshot
        from trading_assets.bars import BAR_ASSETS
        from trading_assets.causality import bars_to_check_on
        from trading_assets.history import History
        from trading_assets.universes import load_universes

        if timeframe not in BAR_ASSETS:
            return None
        try:
            lake = open_home_lake(self.settings)
        except ConfigError:
            return None
        history = History(Snapshot(lake, lake.resolve("main@")))
        return bars_to_check_on(history, load_universes(self.settings), timeframe, universe)


def _read(file: Path) -> pl.DataFrame:
    """The bars of a file, sorted; incomplete ones are left out where the file tells them apart."""
    try:
        bars = pl.read_csv(file, try_parse_dates=True) if file.suffix == ".csv" else pl.read_parquet(file)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ConfigError(f"{file} is neither Parquet nor CSV (ending .csv): {error}") from None
    if "complete" in bars.columns:
        bars = bars.filter(pl.col("complete"))
    stamped = bars.schema.get("Timestamp")
    if isinstance(stamped, pl.Datetime):
        bars = bars.with_columns(pl.col("Timestamp").dt.cast_time_unit("us"))
    return bars.sort("Symbol", "Timestamp") if {"Symbol", "Timestamp"} <= set(bars.columns) else bars
