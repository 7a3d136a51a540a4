"""How a position that is still open before the close is flattened: by a market-on-close order, or by a market order."""

import datetime as dt
from typing import Literal

FlattenType = Literal["MOC", "MKT"]


def flatten_type(at: dt.datetime, close: dt.datetime, moc_guard_minutes: float) -> FlattenType:
    """MOC where the venue takes one at ``at``, else MKT: an MOC after the cut-off is never sent.

    Args:
        moc_guard_minutes: before ``close`` at which the venue stops taking MOC orders; 0 = not known, so none is sent.
    """
    cut_off = close - dt.timedelta(minutes=moc_guard_minutes)
    return "MOC" if moc_guard_minutes > 0 and at <= cut_off else "MKT"
