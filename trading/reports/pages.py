"""The pages: a session, one variant's tear sheet, and the index. Each is one file that needs nothing
beside it.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import polars as pl

from trading.ports.alerts import Alert
from trading.reports import html
from trading.reports.html import Cell, Html
from trading.reports.records import (
    DecisionRow,
    FaultRow,
    GateRow,
    IndexRow,
    OrderRow,
    SessionReport,
    TearSheet,
    VariantRow,
)

_NONE = "–"
_LAST_TRADES = 50
_GATE = {"pass": ("pass", "good"), "fail": ("fail", "bad"), "insufficient": ("insufficient", "warn")}
_SEVERITY = {"info": "", "warning": "warn", "error": "bad", "critical": "bad"}
_FILLED = frozenset({"filled", "partially_filled"})


def session_page(report: SessionReport) -> str:
    """HTML of one session: figures of the day, variants, stages and missing gates, orders, faults, alerts."""
    body = [
        html.heading(1, f"Session {report.session:%A, %Y-%m-%d}"),
        _summary(report),
        html.heading(2, "Variants"),
        _variants(report),
    ]
    if report.pictures:
        body.append(html.pictures(report.pictures))
    body += [html.heading(2, "Stages and missing gates"), *_decisions(report.decisions)]
    body += [html.heading(2, "Orders of the last batch"), _orders(report.orders, report.currency)]
    body += [html.heading(2, "Data quality"), _faults(report.faults)]
    body += [html.heading(2, "Alerts"), *_alerts(report.alerts)]
    if report.pinned:
        body += [html.heading(2, "Made from"), html.facts(report.pinned)]
    return html.page(f"Session {report.session}", body, label=report.label)


def index_page(rows: Sequence[IndexRow], *, label: str | None = None, currency: str = "USD") -> str:
    """HTML list of the sessions that have a page, the latest first."""
    ordered = sorted(rows, key=lambda row: row.session, reverse=True)
    body = [html.heading(1, "Sessions")]
    if not ordered:
        body.append(html.paragraph("No session has a report yet.", muted=True))
        return html.page("Sessions", body, label=label)
    body.append(
        html.table(
            [
                ("Session", ""),
                ("Variants", "num"),
                ("Orders", "num"),
                ("Filled", "num"),
                (f"PnL ({currency})", "num"),
                ("Stage changes", ""),
                ("Faults", "num"),
                ("Alerts", "num"),
            ],
            (
                [
                    Cell(html.link(row.href, f"{row.session:%Y-%m-%d %a}")),
                    Cell(str(row.variants), "num"),
                    Cell(str(row.orders), "num"),
                    Cell(str(row.filled), "num"),
                    _money(row.pnl),
                    Cell(row.moved or _NONE),
                    _count(row.faults),
                    _count(row.alerts),
                ]
                for row in ordered
            ),
        )
    )
    return html.page("Sessions", body, label=label)


def tear_sheet(sheet: TearSheet) -> str:
    """HTML of one variant as of a session: figures per horizon, pictures, results per Symbol, the last
    trades.
    """
    rows = [
        VariantRow(
            variant=sheet.variant,
            horizon=horizon,
            num_trades=int(figures["num_trades"]),
            net_pnl=float(figures["net_pnl"]),
            win_rate=figures.get("win_rate"),
            profit_factor=figures.get("profit_factor"),
            max_drawdown=figures.get("max_drawdown"),
            sharpe=figures.get("sharpe"),
        )
        for horizon, figures in sheet.metrics.items()
    ]
    body = [
        html.heading(1, sheet.variant),
        html.paragraph(sheet.title),
        html.paragraph(f"As of session {sheet.session}. Replayed, not traded.", muted=True),
        html.heading(2, "Horizons"),
        _variants(SessionReport(session=sheet.session, currency=sheet.currency, variants=rows)),
        html.pictures(sheet.pictures),
        html.heading(2, "By Symbol"),
        _by(sheet.trades, "Symbol", sheet.currency),
        html.heading(2, "By exit"),
        _by(sheet.trades, "exit_reason", sheet.currency),
        html.heading(2, f"Last trades (of {sheet.trades.height})"),
        _trades(sheet),
    ]
    if sheet.params:
        body += [html.heading(2, "Settings"), html.facts({k: str(v) for k, v in sheet.params.items()})]
    if sheet.pinned:
        body += [html.heading(2, "Made from"), html.facts(sheet.pinned)]
    return html.page(f"{sheet.variant} as of {sheet.session}", body, label=sheet.label)


def _summary(report: SessionReport) -> Html:
    filled = [order for order in report.orders if order.entry_price is not None or order.state in _FILLED]
    results = [order.pnl for order in report.orders if order.pnl is not None]
    pnl = sum(results) if results else None
    loud = sum(alert.severity in ("error", "critical") for alert in report.alerts)
    moved = sum(decision.from_stage != decision.to_stage for decision in report.decisions)
    return html.tiles(
        [
            (_signed(pnl), f"PnL of closed orders ({report.currency})", _tone(pnl)),
            (f"{len(filled)} of {len(report.orders)}", "orders filled", ""),
            (str(len({row.variant for row in report.variants})), "variants replayed", ""),
            (str(moved), "stage changes", ""),
            (str(len(report.faults)), "data faults", "bad" if report.faults else ""),
            (f"{len(report.alerts)}", f"alerts, {loud} loud" if loud else "alerts", "bad" if loud else ""),
        ]
    )


def _variants(report: SessionReport) -> Html:
    if not report.variants:
        return html.paragraph("No variant was replayed.", muted=True)
    head = [
        ("Variant", ""),
        ("Horizon", ""),
        ("Trades", "num"),
        ("Win rate", "num"),
        ("Profit factor", "num"),
        (f"PnL ({report.currency})", "num"),
        ("Max drawdown", "num"),
        ("Sharpe", "num"),
        ("", ""),
    ]
    names = [row.variant for row in report.variants]
    same = [False, *(one == two for one, two in pairwise(names))]
    rows = []
    for row, repeated in zip(report.variants, same, strict=True):
        href = report.tear_sheets.get(row.variant)
        name: str | Html = html.link(href, row.variant) if href else row.variant
        rows.append(
            [
                Cell("" if repeated else name),
                Cell(row.horizon),
                Cell(f"{row.num_trades:,}", "num"),
                Cell(_percent(row.win_rate, 1), "num"),
                Cell(_number(row.profit_factor), "num"),
                _money(row.net_pnl),
                Cell(_percent(row.max_drawdown, 2), "num"),
                Cell(_number(row.sharpe), "num"),
                Cell(_insufficient(row.insufficient) if row.insufficient else ""),
            ]
        )
    return html.table(head, rows, same=same)


def _insufficient(reason: str) -> Html:
    return Html(f'{html.pill("insufficient", "warn").markup} <span class="muted">{html.text(reason)}</span>')


def _decisions(decisions: Sequence[DecisionRow]) -> list[Html]:
    if not decisions:
        return [html.paragraph("No decision was made.", muted=True)]
    return [_decision(decision) for decision in decisions]


def _decision(decision: DecisionRow) -> Html:
    moved = decision.from_stage != decision.to_stage
    stage = f"{decision.from_stage} → {decision.to_stage}" if moved else f"stays {decision.to_stage}"
    down = decision.to_stage in ("suspended", "retired")
    tone = "bad" if down else "good" if moved else ""
    parts = [
        Html(f"<h3>{html.text(decision.variant)} {html.pill(stage, tone).markup}</h3>"),
        html.paragraph(f"{decision.reason} Decided by {decision.decided_by}.".strip()),
    ]
    if decision.decision_id:
        parts.append(html.paragraph(Html(f"Decision <code>{html.text(decision.decision_id)}</code>"), muted=True))
    if decision.gates:
        missing = [gate for gate in decision.gates if gate.status != "pass"]
        passed = len(decision.gates) - len(missing)
        parts.append(html.paragraph(f"{passed} of {len(decision.gates)} gates passed.", muted=True))
        ordered = sorted(decision.gates, key=lambda gate: ("fail", "insufficient", "pass").index(gate.status))
        parts.append(_gates(ordered))
    return html.card(*parts)


def _gates(gates: Sequence[GateRow]) -> Html:
    return html.table(
        [("Gate", ""), ("", ""), ("Value", "num"), ("Threshold", "num"), ("Detail", "")],
        (
            [
                Cell(gate.name),
                Cell(html.pill(*_GATE[gate.status])),
                Cell(_figure(gate.value), "num"),
                Cell(_figure(gate.threshold), "num"),
                Cell(gate.detail),
            ]
            for gate in gates
        ),
    )


def _orders(orders: Sequence[OrderRow], currency: str) -> Html:
    if not orders:
        return html.paragraph("The batch has no order.", muted=True)
    head = [("Order", ""), ("Account", ""), ("Variant", ""), ("Symbol", ""), ("Side", ""), ("Qty", "num")]
    head += [("Entry", "num"), ("Stop", "num"), ("Target", "num"), ("State", ""), ("Filled at", "num")]
    head += [("Exit", "num"), ("By", ""), (f"PnL ({currency})", "num")]
    return html.table(
        head,
        (
            [
                Cell(order.order_ref, "id"),
                Cell(order.account),
                Cell(order.variant),
                Cell(order.symbol),
                Cell("long" if order.side > 0 else "short"),
                Cell(f"{order.qty:,g}", "num"),
                Cell(_price(order.entry), "num"),
                Cell(_price(order.sl), "num"),
                Cell(_price(order.tp), "num"),
                _state(order),
                Cell(_price(order.entry_price), "num"),
                Cell(_price(order.exit_price), "num"),
                Cell(order.exit_reason or _NONE),
                _money(order.pnl),
            ]
            for order in orders
        ),
    )


def _state(order: OrderRow) -> Cell:
    """The order's state, and below it why."""
    shown = html.pill(order.state, "bad" if order.state in ("rejected", "unknown") else "")
    if not order.reason:
        return Cell(shown)
    return Cell(Html(f"{shown.markup}<small>{html.text(order.reason)}</small>"), "wide")


def _faults(faults: Sequence[FaultRow]) -> Html:
    if not faults:
        return html.paragraph("No fault found.", muted=True)
    return html.table(
        [("Asset", ""), ("Symbol", ""), ("What", ""), ("Figure", "num"), ("Limit", "num")],
        (
            [
                Cell(fault.asset),
                Cell(fault.symbol or _NONE),
                Cell(fault.what),
                Cell(fault.figure or _NONE, "num"),
                Cell(fault.limit or _NONE, "num"),
            ]
            for fault in faults
        ),
    )


def _alerts(alerts: Sequence[Alert]) -> list[Html]:
    if not alerts:
        return [html.paragraph("No alert rang.", muted=True)]
    shown = []
    for alert in sorted(alerts, key=lambda alert: alert.at):
        parts = [
            Html(f"<h3>{html.text(alert.title)} {html.pill(alert.severity, _SEVERITY[alert.severity]).markup}</h3>")
        ]
        if alert.what:
            parts.append(html.paragraph(alert.what))
        parts.append(html.paragraph(" · ".join(f"{label} {text}" for label, text in alert.facts()), muted=True))
        if alert.command:
            parts.append(html.paragraph(Html(f"<code>{html.text(alert.command)}</code>")))
        if alert.link:
            parts.append(html.paragraph(html.link(alert.link, alert.link)))
        shown.append(html.card(*parts))
    return shown


def _by(trades: pl.DataFrame, column: str, currency: str) -> Html:
    if trades.is_empty():
        return html.paragraph("No trade.", muted=True)
    grouped = (
        trades.group_by(column)
        .agg(
            trades=pl.len(),
            win_rate=(pl.col("pnl") > 0).mean(),
            pnl=pl.col("pnl").sum(),
            best=pl.col("pnl").max(),
            worst=pl.col("pnl").min(),
            fees=pl.col("fees").sum(),
        )
        .sort(column)
    )
    head = [
        (column.replace("_", " ").capitalize(), ""),
        ("Trades", "num"),
        ("Win rate", "num"),
        (f"PnL ({currency})", "num"),
    ]
    head += [("Best", "num"), ("Worst", "num"), ("Fees", "num")]
    return html.table(
        head,
        (
            [
                Cell(str(row[column])),
                Cell(f"{row['trades']:,}", "num"),
                Cell(_percent(row["win_rate"], 1), "num"),
                _money(row["pnl"]),
                _money(row["best"]),
                _money(row["worst"]),
                Cell(f"{row['fees']:,.2f}", "num"),
            ]
            for row in grouped.iter_rows(named=True)
        ),
    )


def _trades(sheet: TearSheet) -> Html:
    if sheet.trades.is_empty():
        return html.paragraph("No trade.", muted=True)
    zone = sheet.timezone
    last = sheet.trades.tail(_LAST_TRADES).reverse()
    local = last.with_columns(pl.col("entry_time", "exit_time").dt.convert_time_zone(zone))
    head = [(f"Entry ({zone})", ""), ("Symbol", ""), ("Side", ""), ("Qty", "num"), ("Entry", "num"), ("Exit", "num")]
    head += [(f"Exit ({zone})", ""), ("By", ""), ("Bars", "num"), (f"PnL ({sheet.currency})", "num")]
    return html.table(
        head,
        (
            [
                Cell(f"{row['entry_time']:%Y-%m-%d %H:%M}"),
                Cell(row["Symbol"]),
                Cell("long" if row["side"] > 0 else "short"),
                Cell(f"{row['qty']:,g}", "num"),
                Cell(_price(row["entry_price"]), "num"),
                Cell(_price(row["exit_price"]), "num"),
                Cell(f"{row['exit_time']:%Y-%m-%d %H:%M}"),
                Cell(row["exit_reason"]),
                Cell(str(row["bars_held"]), "num"),
                _money(row["pnl"]),
            ]
            for row in local.iter_rows(named=True)
        ),
    )


def _money(value: float | None) -> Cell:
    return Cell(_signed(value), f"num {_tone(value)}")


def _count(value: int) -> Cell:
    return Cell(str(value), "num bad" if value else "num")


def _signed(value: float | None) -> str:
    return _NONE if value is None else f"{round(value, 2) + 0.0:+,.2f}".replace("-", "−")


def _tone(value: float | None) -> str:
    rounded = 0.0 if value is None else round(value, 2)
    return "good" if rounded > 0 else "bad" if rounded < 0 else ""


def _percent(value: float | None, digits: int) -> str:
    return _NONE if value is None else f"{100.0 * value:.{digits}f} %"


def _number(value: float | None) -> str:
    return _NONE if value is None else "∞" if value == float("inf") else f"{value:.2f}".replace("-", "−")


def _price(value: float | None) -> str:
    """At least two decimals, more where the tick is finer."""
    if value is None:
        return _NONE
    short = f"{value:,.6f}".rstrip("0")
    return short if len(short.rpartition(".")[2]) >= 2 else f"{value:,.2f}"


def _figure(value: Any) -> str:
    if value is None:
        return _NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
