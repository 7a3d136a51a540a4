"""Bars: minutes assembled and cut to the session, resampled, and judged."""

from trading.bars.assemble import AssembledBars, assemble_m1
from trading.bars.errors import BarsRefused, ConflictingDuplicates
from trading.bars.quality import QualityConfig, daily_quality, failing_symbols
from trading.bars.resample import resample, resample_each, timeframe_minutes

__all__ = [
    "AssembledBars",
    "BarsRefused",
    "ConflictingDuplicates",
    "QualityConfig",
    "assemble_m1",
    "daily_quality",
    "failing_symbols",
    "resample",
    "resample_each",
    "timeframe_minutes",
]
