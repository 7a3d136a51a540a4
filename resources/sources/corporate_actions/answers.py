"""What a vendor answered, kept as received, and read with nothing taken on trust."""

import datetime as dt
import gzip
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from resources.sources.downloads.vendor import SymbolRefused
from trading.corporate_actions import ACTION_COLUMNS, DIVIDEND


class KeptAnswers:
    """Answers in a folder, each content once; ``files`` and ``arrived`` are those of this reading.

    Args:
        folder: made where missing.
        clock: the time, UTC.
    """

    def __init__(self, folder: Path, clock: Callable[[], dt.datetime]) -> None:
        self._folder = folder
        self._clock = clock
        self.files: dict[str, str] = {}
        self.arrived: dict[str, dt.datetime] = {}

    def keep(self, name: str, body: bytes) -> None:
        """Write ``body`` as ``<name>-<hash>.json.gz``, whole or not at all. OSError where the disk does not take it."""
        digest = hashlib.sha256(body).hexdigest()
        self.files[name], self.arrived[name] = digest, self._clock()
        target = self._folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)}-{digest[:16]}.json.gz"
        if target.exists():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        written = target.with_suffix(f".{os.getpid()}.tmp")
        with written.open("wb") as stream:
            stream.write(gzip.compress(body, mtime=0))
            stream.flush()
            os.fsync(stream.fileno())
        written.replace(target)


def date_of(row: Any, field: str, where: str) -> dt.date:
    """A field that must be a date YYYY-MM-DD. SymbolRefused names where it is not."""
    given = row.get(field) if isinstance(row, dict) else None
    try:
        return dt.date.fromisoformat(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise SymbolRefused(f"{where}: {field} is {given!r}; it must be a date YYYY-MM-DD") from None


def known_date_of(row: dict[str, Any], field: str) -> dt.date | None:
    """A date that a vendor often lacks; None for what is none, such as ``0000-00-00``."""
    try:
        return dt.date.fromisoformat(row.get(field) or "")
    except (TypeError, ValueError):
        return None


def number_of(row: Any, field: str, where: str) -> float:
    """A field that must be a number, 0 or more, as JSON number or text. SymbolRefused names where it is not."""
    given = row.get(field) if isinstance(row, dict) else None
    try:
        number = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = float("nan")
    if isinstance(given, bool) or not 0 <= number < float("inf"):
        raise SymbolRefused(f"{where}: {field} is {given!r}; it must be a number, 0 or more")
    return number


def currency_of(row: dict[str, Any], where: str) -> str:
    """Three to five capital letters; dollars where a vendor of US shares names none. SymbolRefused for anything else."""
    given = row.get("currency") or "USD"
    if not isinstance(given, str) or not re.fullmatch(r"[A-Z]{3,5}", given):
        raise SymbolRefused(f"{where}: currency is {given!r}; it must be three to five capital letters, e.g. USD")
    return given


def ratio_of(new_shares: float, old_shares: float, where: str) -> float:
    """New shares per old one. SymbolRefused where there are none of one kind."""
    if not new_shares or not old_shares:
        raise SymbolRefused(f"{where}: a split of {old_shares:g} into {new_shares:g} shares; both must be above 0")
    return new_shares / old_shares


def actions_frame(rows: list[dict[str, Any]], source: str) -> pl.DataFrame:
    """Rows as the dataset's columns, with several dividends of a Symbol and day as their sum.

    A split of 1 for 1, as vendors have it at changes of a name, and a dividend of 0 change nothing and are left out.
    A special dividend often comes with a regular one. The sum is known once all of them are announced; amounts in two
    currencies stay apart, so that the dataset's contract refuses them.
    """
    frame = pl.DataFrame(
        [
            {**dict.fromkeys(ACTION_COLUMNS), **row, "source": source}
            for row in rows
            if row.get("ratio") != 1 and row.get("amount") != 0
        ],
        schema=dict(ACTION_COLUMNS),
        orient="row",
    )
    paid = pl.col("kind") == DIVIDEND
    announced = pl.when(pl.col("announced").has_nulls()).then(None).otherwise(pl.col("announced").max())
    sums = (
        frame.filter(paid)
        .group_by("Symbol", "ex_date", "kind", "currency", "source")
        .agg(pl.col("amount").sum().round(10), pl.lit(None, pl.Float64).alias("ratio"), announced.alias("announced"))
    )
    return pl.concat([frame.filter(~paid), sums.select(frame.columns)])
