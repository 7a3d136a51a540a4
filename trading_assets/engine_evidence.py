"""What a published comparison with the independent engine says of a version, as evidence of a decision."""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from trading_assets.history import History

if TYPE_CHECKING:
    from trading.promotion import EngineParity
    from trading_assets.sweep_evidence import VersionOf

_DATASET = "engine_parity"


@dataclass
class EngineEvidence:
    """Looks into engine_parity at one pinned commit."""

    history: History

    def of(self, variant: "VersionOf", as_of: dt.date) -> "tuple[EngineParity, dict[str, str]] | None":
        """The newest comparison of this very version, code and settings, and the pins of it; None where there is none."""
        from trading.promotion import EngineParity

        fixed = {"variant": variant.name}
        for session in reversed([day for day in self.history.sessions(_DATASET, fixed) if day <= as_of]):
            found = self.history.frame(_DATASET, [session], fixed).filter(
                pl.col("strategy_version") == variant.strategy_version,
                pl.col("config_hash") == variant.config_hash,
                pl.col("each_alone"),
            )
            if found.height:
                row = found.row(0, named=True)
                parity = EngineParity(
                    trades=row["trades"],
                    unmatched=row["differences"],
                    max_pnl_difference=row["max_pnl_difference"],
                )
                return parity, {
                    "session": session.isoformat(),
                    "commit": self.history.made_by(_DATASET, session, fixed),
                }
        return None
