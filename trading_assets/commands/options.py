"""What several commands share: the home's option, and the home's lake."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

import click

from trading.errors import ConfigError
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from resources.lake import Lake

_Command = TypeVar("_Command", bound=Callable[..., Any])


def home_option(command: _Command) -> _Command:
    """`--home`, handed to the command as validated settings."""

    def load(_ctx: click.Context, _param: click.Parameter, value: Path | None) -> Settings:
        return Settings.load(value)

    return click.option(
        "--home",
        "settings",
        type=click.Path(path_type=Path, file_okay=False),
        callback=load,
        help="Home of the installation. Default: TRADING_HOME, else .trading/demo.",
    )(command)


def home_flag(settings: Settings) -> str:
    """What a command to paste needs to reach the same home: ``" --home DIRECTORY"``, or nothing for the default one."""
    return "" if settings.home == Settings.load().home else f" --home {shlex.quote(str(settings.home))}"


def open_home_lake(settings: Settings) -> "Lake":
    """The lake of a home, to look into. Raises ConfigError where a local one does not exist: a mistyped home makes none."""
    from resources.lake import open_lake

    parts = urlsplit(settings.lake_uri)
    if parts.scheme == "file" and not (Path(unquote(parts.path)) / "lake.db").exists():
        raise ConfigError(
            f"there is no lake at {unquote(parts.path)} (home {settings.home}). Another home is given with --home DIRECTORY; "
            "the first materialisation makes a lake"
        )
    return open_lake(settings.lake_uri)
