"""Progress of a long command: a bar on a terminal, a line every few seconds where the output goes to a file."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_SECONDS_BETWEEN_LINES = 5.0


class StageProgress:
    """Counts the steps of stages that follow each other."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines = not console.is_terminal
        self._task: TaskID | None = None
        self._title, self._done, self._total = "", 0, 0
        self._began = self._said = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[asset]}"),
            console=console,
            disable=self._lines,
        )

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    def begin(self, title: str, total: int) -> None:
        """The next stage, with as many steps as it will have at the most."""
        self._title, self._done, self._total = title, 0, total
        self._began = self._said = time.monotonic()
        self._task = self._bar.add_task(title, total=total, asset="")

    def advance(self, what: str, steps: int) -> None:
        self._done += steps
        if self._task is not None:
            self._bar.update(self._task, advance=steps, asset=what)
        now = time.monotonic()
        if self._lines and now - self._said > _SECONDS_BETWEEN_LINES:
            self._said = now
            left = (now - self._began) / self._done * max(0, self._total - self._done)
            self._say(f"{self._title}: {self._done} of {self._total} partitions, {what}, about {left:.0f} s left")

    def end(self) -> None:
        """The stage is over, with the steps that it turned out to have."""
        if self._task is not None:
            self._bar.update(self._task, total=max(1, self._done), completed=max(1, self._done), asset="")
        if self._lines:
            self._say(f"{self._title}: {self._done} partitions in {time.monotonic() - self._began:.0f} s")

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)
        self._console.file.flush()
