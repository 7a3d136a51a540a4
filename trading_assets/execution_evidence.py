"""What the published comparisons of accounts with the replay say of a version, as evidence of a decision."""

import datetime as dt
import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from trading_assets.history import History

if TYPE_CHECKING:
    from trading.promotion import Execution
    from trading_assets.sweep_evidence import VersionOf

_DATASET = "paper_parity"


@dataclass
class ExecutionEvidence:
    """Looks into paper_parity at one pinned commit."""

    history: History
    _table: pl.DataFrame | None = None

    def of(
        self, variant: "VersionOf", since: dt.date | None, as_of: dt.date
    ) -> "tuple[Execution, dict[str, Any]] | None":
        """What every account that traded the version showed in the sessions after ``since`` (when it came on paper) up to
        ``as_of``, and the pins of it; None where there is none.
        """
        from trading.promotion import Execution

        if since is None or self.figures.is_empty():
            return None
        rows = self.figures.filter(
            pl.col("variant") == variant.name,
            pl.col("strategy_version") == variant.strategy_version,
            pl.col("session") > since,
            pl.col("session") <= as_of,
        ).sort("session", "account")
        if rows.is_empty():
            return None
        newest = rows.filter(pl.col("session") == pl.col("session").max().over("account"))
        paid = rows.filter(pl.col("slippage_fills") > 0)
        fills = int(paid["slippage_fills"].sum())
        worst = rows["max_price_difference_bps"].max()
        found = Execution(
            sessions=rows["session"].n_unique(),
            trades=int(rows["trades"].sum()),
            missed=int(rows["missed"].sum()),
            extra=int(rows["extra"].sum()),
            max_price_difference_bps=worst if isinstance(worst, float) else None,
            unresolved_differences=int(newest["differences"].sum()),
            slippage_bps=round(math.fsum(paid["slippage_bps"] * paid["slippage_fills"]) / fills, 6) if fills else None,
            assumed_slippage_bps=float(rows["assumed_slippage_bps"][-1]),
            error_events=int(rows["error_events"].sum()),
        )
        return found, self._pins(rows)

    @property
    def figures(self) -> pl.DataFrame:
        """Rows of all sessions and accounts."""
        if self._table is None:
            paths = self.history.snapshot.partitions(_DATASET)
            keys = [dict(part.split("=", 1) for part in path.split("/")) for path in paths]
            self._table = self.history.snapshot.scan(_DATASET, keys).collect() if keys else pl.DataFrame()
        return self._table

    def _pins(self, rows: pl.DataFrame) -> dict[str, Any]:
        commits = [
            self.history.made_by(_DATASET, session, {"account": account})
            for session, account in rows.select("session", "account").iter_rows()
        ]
        return {
            "first": rows["session"][0].isoformat(),
            "last": rows["session"][-1].isoformat(),
            "partitions": len(commits),
            "made_by_sha256": hashlib.sha256("\n".join(commits).encode()).hexdigest(),
        }
