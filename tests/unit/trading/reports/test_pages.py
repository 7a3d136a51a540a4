import dataclasses
import datetime as dt
from html.parser import HTMLParser
from typing import Any

import polars as pl
import pytest

from trading.ports.alerts import Alert
from trading.reports import (
    DecisionRow,
    FaultRow,
    GateRow,
    IndexRow,
    OrderRow,
    Picture,
    SessionReport,
    TearSheet,
    VariantRow,
    index_page,
    session_page,
    tear_sheet,
)

DAY = dt.date(2023, 11, 24)
EVIL = "<script>alert(1)</script> & \"x\" 'y'"
VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Text, tags and links of a page; fails where tags do not match."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open and data.strip():
            self.words.append(data.strip())

    @property
    def text(self) -> str:
        return " | ".join(self.words)


def order(**changes: Any) -> OrderRow:
    base = OrderRow(
        "TA-1", "paper", "risk1", "SYNA", 1, 12.0, 101.25, 100.0, None, "filled", 101.26, 100.0, "sl", -15.5
    )
    return dataclasses.replace(base, **changes)


REPORT = SessionReport(
    session=DAY,
    label="SYNTHETIC market",
    variants=[
        VariantRow("risk1", "1m", 20, 3.61, win_rate=0.75, profit_factor=float("inf"), max_drawdown=0.0123),
        VariantRow("risk1", "1y", 1234, -3.614, insufficient="data from 2023-10-02 only"),
    ],
    decisions=[
        DecisionRow(
            "risk1",
            "lab",
            "lab",
            "auto",
            "Two gates are missing.",
            "abc123",
            [
                GateRow("causality", "pass", True, True),
                GateRow("sharpe 1m", "fail", 0.31, 0.5, "too low"),
                GateRow("sharpe 1y", "insufficient", None, 0.5),
            ],
        )
    ],
    orders=[
        order(),
        order(
            order_ref="TA-2", side=-1, state="rejected", entry_price=None, exit_price=None, pnl=None, reason="gate 9"
        ),
        order(order_ref="TA-3", pnl=20.0, entry=0.8125),
    ],
    faults=[FaultRow("bar_quality", "SYNC", "halt", "71.4 %", "90 %")],
    alerts=[Alert(title="Kill switch engaged", severity="critical", at=dt.datetime(2023, 11, 24, 17, tzinfo=dt.UTC))],
    pictures=[Picture(b"png", "Equity of risk1")],
    pinned={"lake commit": "3f2a9c"},
    tear_sheets={"risk1": "tear/risk1.html"},
)


def test_a_session_page_shows_its_figures() -> None:
    page = Page(session_page(REPORT))
    assert page.words[:3] == ["Session 2023-11-24", "SYNTHETIC market", "Session Friday, 2023-11-24"]
    for shown in (
        "+4.50 | PnL of closed orders (USD)",
        "2 of 3 | orders filled",
        "risk1 | 1m | 20 | 75.0 % | ∞ | +3.61 | 1.23 %",
        "1y | 1,234 | – | – | −3.61 | – | – | insufficient | data from 2023-10-02 only",
        "stays lab",
        "1 of 3 gates passed.",
        "sharpe 1m | fail | 0.31 | 0.5 | too low | sharpe 1y | insufficient | – | 0.5 | causality | pass | yes | yes",
        "TA-1 | paper | risk1 | SYNA | long | 12 | 101.25 | 100.00 | – | filled | 101.26 | 100.00 | sl | −15.50",
        "TA-2 | paper | risk1 | SYNA | short | 12 | 101.25 | 100.00 | – | rejected | gate 9",
        "0.8125",
        "bar_quality | SYNC | halt | 71.4 % | 90 %",
        "Kill switch engaged | critical",
        "lake commit | 3f2a9c",
    ):
        assert shown in page.text, shown
    assert ("a", {"href": "tear/risk1.html"}) in page.tags


def test_an_empty_session_says_so_in_every_part() -> None:
    page = Page(session_page(SessionReport(session=DAY)))
    for shown in (
        "No variant was replayed.",
        "No decision was made.",
        "The batch has no order.",
        "No fault found.",
        "No alert rang.",
    ):
        assert shown in page.text
    assert "SYNTHETIC" not in page.text


def trades() -> pl.DataFrame:
    at = dt.datetime(2023, 11, 3, 14, 0, tzinfo=dt.UTC)
    row = {"Symbol": "SYNA", "side": 1, "qty": 10.0, "entry_time": at, "entry_price": 100.0, "exit_time": at}
    row |= {"exit_price": 101.0, "exit_reason": "tp", "fees": 0.5, "pnl": 9.5, "bars_held": 3}
    lost = {**row, "exit_reason": "sl", "pnl": -4.5, "exit_time": at + dt.timedelta(days=4)}
    return pl.DataFrame([row, lost], schema_overrides={"entry_time": pl.Datetime("us", "UTC")})


def test_a_tear_sheet_sums_up_by_symbol_and_exit_in_the_readers_zone() -> None:
    sheet = TearSheet(
        "risk1",
        "IB · Risk 1% · 10k",
        DAY,
        {"1m": {"num_trades": 2, "net_pnl": 5.0, "win_rate": 0.5, "sharpe": None}},
        trades(),
        timezone="America/New_York",
        params={"risk_pct": 1.0},
    )
    page = Page(tear_sheet(sheet))
    assert "SYNA | 2 | 50.0 % | +5.00 | +9.50 | −4.50 | 1.00" in page.text
    assert "sl | 1 | 0.0 % | −4.50" in page.text
    # 14:00 UTC was 10:00 in New York before, and 09:00 after, the clocks went back on 2023-11-05.
    assert "2023-11-03 10:00" in page.text
    assert "2023-11-07 09:00" in page.text
    empty = Page(tear_sheet(dataclasses.replace(sheet, trades=trades().clear(), metrics={})))
    assert "No trade." in empty.text


def test_the_index_lists_the_latest_first() -> None:
    rows = [IndexRow(DAY + dt.timedelta(days=n), f"{n}.html", 4, 6, 2, 1.0 if n else None, n, 0) for n in range(2)]
    page = Page(index_page(rows))
    assert [attrs["href"] for tag, attrs in page.tags if tag == "a"] == ["1.html", "0.html"]
    assert "2023-11-25 Sat | 4 | 6 | 2 | +1.00" in page.text
    assert "No session has a report yet." in Page(index_page([])).text


def evil(value: Any) -> Any:
    """The same record with every text in it hostile."""
    if isinstance(value, str):
        return EVIL
    if isinstance(value, list):
        return [evil(item) for item in value]
    if isinstance(value, dict):
        return {f"{EVIL} {key}": evil(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fixed = ("status", "severity")
        kept = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return dataclasses.replace(value, **{k: v if k in fixed else evil(v) for k, v in kept.items()})
    return value


def pages() -> list[str]:
    report = evil(REPORT)
    sheet = TearSheet(EVIL, EVIL, DAY, {EVIL: {"num_trades": 2, "net_pnl": 5.0}}, evil_trades(), label=EVIL)
    return [
        session_page(dataclasses.replace(report, alerts=[alert_with_link("javascript:alert(1)")])),
        session_page(report),
        tear_sheet(dataclasses.replace(sheet, pinned={EVIL: EVIL}, params={EVIL: EVIL})),
        index_page([IndexRow(DAY, EVIL, 1, 1, 1, 1.0, 1, 1, moved=EVIL)], label=EVIL),
    ]


def evil_trades() -> pl.DataFrame:
    return trades().with_columns(Symbol=pl.lit(EVIL), exit_reason=pl.lit(EVIL))


def alert_with_link(link: str) -> Alert:
    at = dt.datetime(2023, 11, 24, tzinfo=dt.UTC)
    return Alert(title="x", severity="info", at=at, link=link, what=EVIL, command=EVIL)


@pytest.mark.parametrize("number", range(4))
def test_no_text_becomes_markup_and_nothing_is_loaded_from_elsewhere(number: int) -> None:
    markup = pages()[number]
    page = Page(markup)
    assert EVIL in " ".join(page.words)
    assert "script" not in {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        assert tag not in ("link", "iframe", "object", "base", "form")
        if tag == "img":
            assert str(attributes["src"]).startswith("data:image/png;base64,")
        if tag == "a":
            assert not str(attributes["href"]).lower().startswith("javascript")
    assert "url(" not in markup
    assert "@import" not in markup
    assert "default-src 'none'" in markup


def test_the_same_report_gives_the_same_page() -> None:
    assert session_page(REPORT) == session_page(REPORT)
