"""`trading lake`: look into the versioned storage, and look after it."""

import click

from trading_assets.commands.lake.diff import diff
from trading_assets.commands.lake.export import export
from trading_assets.commands.lake.gc import gc
from trading_assets.commands.lake.log import log
from trading_assets.commands.lake.quarantine import quarantine
from trading_assets.commands.lake.show import show
from trading_assets.commands.lake.tag import tag
from trading_assets.commands.lake.verify import verify

__all__ = ["lake"]


@click.group()
def lake() -> None:
    """Commits, datasets and integrity of the lake. REF is a branch, `branch@`, a tag, a commit id or its beginning."""


for _command in (log, show, diff, quarantine, tag, export, verify, gc):
    lake.add_command(_command)
