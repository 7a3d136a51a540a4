"""What the check of paper parity shows of its figures."""

import datetime as dt

import polars as pl

from trading_assets.paper_parity import FIGURES, _evaluation, _shown

DAY = dt.date(2024, 3, 4)
TRADED = ("paper", "risk1", "v1", DAY, DAY, 3, 0, 0, 0.0, 1.0, 6, 1.0, 0, 0)
IDLE = ("paper", "quiet", "v1", DAY, None, 0, 0, 0, None, None, 0, 1.0, 0, 0)


def figures(*rows: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=FIGURES, orient="row")


def test_a_variant_without_a_trade_stands_in_the_table_beside_others() -> None:
    table = _shown(figures(TRADED, IDLE))["by_variant"]
    shown = {record.data["variant"]: record.data for record in table.records}
    assert shown["risk1"]["trades"] == 3 and shown["risk1"]["max_price_difference_bps"] == 0.0
    assert shown["quiet"]["trades"] == 0 and shown["quiet"]["max_price_difference_bps"] == ""
    assert [column.name for column in table.schema.columns] == list(shown["quiet"])


def test_a_session_in_which_nobody_traded_is_no_break() -> None:
    found = _evaluation(f"paper|{DAY}", figures(IDLE))
    assert found.passed and found.description == (
        "0 trades: 0 matched, 0 missed, 0 extra; largest price difference none"
    )


def test_an_account_without_a_variant_has_no_table() -> None:
    assert "by_variant" not in _shown(figures())
