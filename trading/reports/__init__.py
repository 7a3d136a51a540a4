"""What people look at: pictures as PNG bytes and pages as HTML text. Pure: no file is written and no clock
read here.
"""

from trading.reports.curves import drawdown_curve_png, equity_curve_png
from trading.reports.pages import index_page, session_page, tear_sheet
from trading.reports.plots import comparison_png, markdown_image, trade_png
from trading.reports.records import (
    DecisionRow,
    FaultRow,
    GateRow,
    IndexRow,
    OrderRow,
    Picture,
    SessionReport,
    TearSheet,
    VariantRow,
)

__all__ = [
    "DecisionRow",
    "FaultRow",
    "GateRow",
    "IndexRow",
    "OrderRow",
    "Picture",
    "SessionReport",
    "TearSheet",
    "VariantRow",
    "comparison_png",
    "drawdown_curve_png",
    "equity_curve_png",
    "index_page",
    "markdown_image",
    "session_page",
    "tear_sheet",
    "trade_png",
]
