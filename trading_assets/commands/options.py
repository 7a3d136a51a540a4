"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from trading_assets.settings import Settings

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
