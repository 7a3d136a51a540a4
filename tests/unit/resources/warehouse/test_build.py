import datetime as dt
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from resources.warehouse import (
    SOURCES,
    AuditError,
    ModelError,
    PartitionFile,
    SourceError,
    WarehouseError,
    build_warehouse,
    open_as_of,
    open_warehouse,
)

REPO = Path(__file__).resolve().parents[4]
MODELS = REPO / "dbt_like_sql" / "models"
AT = dt.datetime(2024, 1, 5, 22, 0, tzinfo=dt.UTC)
D2, D3, D4 = (dt.date(2024, 1, day) for day in (2, 3, 4))


def frame(source: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(SOURCES[source]))


def bar(symbol: str, session: dt.date, close: float, **changes: Any) -> dict[str, Any]:
    start = dt.datetime.combine(session, dt.time(14, 30), dt.UTC)
    return {
        "Symbol": symbol,
        "Timestamp": start,
        "Open": close,
        "High": close + 1,
        "Low": close - 1,
        "Close": close,
        "Volume": 100,
        "session": session,
        "minutes": 390,
        "complete": True,
        **changes,
    }


BARS = [bar("A", D2, 100.0), bar("A", D3, 110.0), bar("A", D4, 99.0), bar("B", D2, 50.0), bar("B", D4, 60.0)]


def build(out: Path, datasets: dict[str, Any], **options: Any) -> Any:
    return build_warehouse(datasets, MODELS, out, **{"commit": "c1", "built_at": AT, **options})


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with open_warehouse(path) as connection:
        return connection.execute(sql).fetchall()


def test_a_warehouse_with_nothing_in_it_has_every_table(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "warehouse.duckdb"
    report = build(out, {})
    assert {table.name for table in report.sources} == set(SOURCES)
    assert all(table.rows == 0 for table in (*report.sources, *report.models))
    assert all(audit.passed for audit in report.audits)
    assert rows(out, "SELECT * FROM warehouse_build") == [("c1", AT)]
    assert [file.name for file in out.parent.iterdir()] == ["warehouse.duckdb"]


def test_daily_bars_quality(tmp_path: Path) -> None:
    out = tmp_path / "w.duckdb"
    build(out, {"d1_bars": frame("d1_bars", BARS)})
    assert rows(
        out,
        "SELECT Symbol, session, round(return_since_previous, 6), sessions_missing_before "
        "FROM daily_bars_quality ORDER BY ALL",
    ) == [
        ("A", D2, None, 0),
        ("A", D3, 0.1, 0),
        ("A", D4, -0.1, 0),
        ("B", D2, None, 0),
        ("B", D4, 0.2, 1),
    ]


def test_daily_bars_adjusted(tmp_path: Path) -> None:
    """A split of B after the third, one that is still to come, and A another company from the fourth on."""
    out = tmp_path / "w.duckdb"
    actions = [
        {"Symbol": "B", "ex_date": D4, "kind": "split", "ratio": 4.0, "amount": None},
        {"Symbol": "B", "ex_date": D4, "kind": "dividend", "ratio": None, "amount": 0.5},
        {"Symbol": "B", "ex_date": D4 + dt.timedelta(days=9), "kind": "split", "ratio": 2.0, "amount": None},
        {"Symbol": "A", "ex_date": D4, "kind": "new_security", "ratio": None, "amount": None},
    ]
    report = build(out, {"d1_bars": frame("d1_bars", BARS), "corporate_actions": frame("corporate_actions", actions)})
    raw = {(row["Symbol"], row["session"]): row for row in frame("d1_bars", BARS).iter_rows(named=True)}
    found = rows(out, "SELECT Symbol, session, Close, Volume, shares FROM daily_bars_adjusted ORDER BY ALL")
    before, after = raw["B", D2], raw["B", D4]
    assert found == [
        ("A", D4, raw["A", D4]["Close"], raw["A", D4]["Volume"], 1.0),
        ("B", D2, before["Close"] / 4, before["Volume"] * 4, 4.0),
        ("B", D4, after["Close"], after["Volume"], 1.0),
    ]
    gaps = next(audit for audit in report.audits if audit.name == "adjusted_bars_have_no_split_gap")
    assert (gaps.passed, gaps.bad_rows) == (False, 1)  # B did not fall by a split: the action is wrong here


def test_orders_with_outcome(tmp_path: Path) -> None:
    at = dt.datetime(2024, 1, 2, 15, 0, tzinfo=dt.UTC)
    intent = {
        "session": D2,
        "account": "paper",
        "variant": "v",
        "Symbol": "A",
        "valid_from": at,
        "valid_to": at,
    }
    out = tmp_path / "w.duckdb"
    build(
        out,
        {
            "order_intents": frame(
                "order_intents",
                [
                    {**intent, "order_ref": "long", "oco_id": "o", "side": 1, "qty": 10.0, "entry": 100.0},
                    {**intent, "order_ref": "short", "oco_id": "o", "side": -1, "qty": 10.0, "entry": 98.0},
                ],
            ),
            "order_events": frame(
                "order_events",
                [
                    {"id": 1, "order_ref": "long", "state": "submitting", "time": at, "reason": ""},
                    {"id": 3, "order_ref": "long", "state": "filled", "time": at, "reason": "sl"},
                    {"id": 2, "order_ref": "short", "state": "cancelled", "time": at, "reason": "oco"},
                ],
            ),
            "fills": frame(
                "fills",
                [
                    {
                        "execution_id": "1",
                        "order_ref": "long",
                        "side": 1,
                        "leg": "entry",
                        "qty": 10.0,
                        "price": 100.1,
                        "fee": 0.2,
                        "time": at,
                    },
                    {
                        "execution_id": "2",
                        "order_ref": "long",
                        "side": 1,
                        "leg": "exit",
                        "qty": 10.0,
                        "price": 99.0,
                        "fee": 0.3,
                        "time": at,
                        "reason": "sl",
                    },
                ],
            ),
        },
    )
    # (99.0 - 100.1) * 10 - 0.2 - 0.3 = -11.5; 100.1 against 100 is 10 bps
    assert rows(
        out,
        "SELECT order_ref, state, entry_qty, exit_reason, round(pnl, 8), round(slippage_bps, 8) "
        "FROM orders_with_outcome ORDER BY 1",
    ) == [("long", "filled", 10.0, "sl", -11.5, 10.0), ("short", "cancelled", 0.0, None, None, None)]


def test_portfolio_daily(tmp_path: Path) -> None:
    worth = [
        {
            "account": "p",
            "variant": v,
            "session": d,
            "realised": e,
            "unrealised": 0.0,
            "equity": e,
            "trades": 1,
            "pnl": g,
        }
        for v, d, e, g in [
            ("x", D2, 10_000.0, 0.0),
            ("y", D2, 10_000.0, 0.0),
            ("x", D3, 11_000.0, 1_000.0),
            ("y", D3, 9_000.0, -1_000.0),
            ("x", D4, 9_000.0, -2_000.0),
            ("y", D4, 9_000.0, 0.0),
        ]
    ]
    out = tmp_path / "w.duckdb"
    build(out, {"portfolio_worth": frame("portfolio_worth", worth)})
    assert rows(
        out, "SELECT session, equity, peak_equity, drawdown, cumulative_pnl FROM portfolio_daily ORDER BY 1"
    ) == [
        (D2, 20_000.0, 20_000.0, 0.0, 0.0),
        (D3, 20_000.0, 20_000.0, 0.0, 0.0),
        (D4, 18_000.0, 20_000.0, pytest.approx(0.1), -2_000.0),
    ]


def test_variant_performance_has_horizons_side_by_side_and_the_last_stage(tmp_path: Path) -> None:
    metric = {"session": D2, "variant": "v", "num_trades": 3, "win_rate": 0.5, "max_drawdown": 0.1}
    decision = {"session": D2, "variant": "v", "strategy_version": "s", "decided_by": "auto", "reason": ""}
    out = tmp_path / "w.duckdb"
    build(
        out,
        {
            "backtest_metrics": frame(
                "backtest_metrics",
                [{**metric, "horizon": "1m", "net_pnl": 5.0}, {**metric, "horizon": "1y", "net_pnl": 50.0}],
            ),
            "promotion_decision": frame(
                "promotion_decision",
                [
                    {**decision, "decision_id": "2", "from_stage": "lab", "to_stage": "paper"},
                    {**decision, "decision_id": "1", "from_stage": "experiment", "to_stage": "lab"},
                ],
            ),
        },
    )
    assert rows(out, "SELECT variant, net_pnl_1m, net_pnl_3m, net_pnl_1y, stage FROM variant_performance") == [
        ("v", 5.0, None, 50.0, "paper")
    ]


def parquet(folder: Path, name: str, data: pl.DataFrame) -> Path:
    file = folder / name
    data.write_parquet(file)
    return file


@pytest.mark.parametrize("as_views", [(), ("backtest_metrics",)])
def test_partition_keys_become_columns_even_where_partitions_share_a_file(
    tmp_path: Path, as_views: tuple[str, ...]
) -> None:
    metrics = frame("backtest_metrics", [{"horizon": "1m", "net_pnl": 1.0}]).drop("session", "variant")
    same = parquet(tmp_path, "it's one.parquet", metrics)
    other = parquet(tmp_path, "other.parquet", metrics.with_columns(net_pnl=pl.lit(2.0), extra=pl.lit("x")))
    out = tmp_path / "w.duckdb"
    files = [
        PartitionFile(same, {"session": "2024-01-02", "variant": "v"}),
        PartitionFile(same, {"session": "2024-01-03", "variant": "v"}),
        PartitionFile(other, {"session": "2024-01-02", "variant": "w"}),
    ]
    build(out, {"backtest_metrics": files}, as_views=as_views)
    assert rows(out, "SELECT session, variant, net_pnl, extra FROM backtest_metrics ORDER BY ALL") == [
        (D2, "v", 1.0, None),
        (D2, "w", 2.0, "x"),
        (D3, "v", 1.0, None),
    ]


def test_a_failing_audit_leaves_the_warehouse_in_place(tmp_path: Path) -> None:
    out = tmp_path / "w.duckdb"
    build(out, {"d1_bars": frame("d1_bars", BARS)})
    before = out.read_bytes()
    with pytest.raises(AuditError, match="daily_bars_have_sane_prices") as caught:
        build(out, {"d1_bars": frame("d1_bars", [*BARS, bar("C", D2, 10.0, High=9.0)])}, commit="c2")
    assert (caught.value.bad_rows, caught.value.model) == (1, "daily_bars_quality")
    assert "Symbol=C" in caught.value.details
    with pytest.raises(AuditError, match=r"grain_of_daily_bars_\w+ .*Symbol, session must be unique"):
        build(out, {"d1_bars": frame("d1_bars", [*BARS, BARS[0]])}, commit="c3")
    assert out.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["w.duckdb"]


def test_who_has_the_old_file_open_goes_on_reading_it_and_a_rebuild_is_not_blocked(tmp_path: Path) -> None:
    out = tmp_path / "w.duckdb"
    build(out, {})
    script = (
        "import duckdb, sys\n"
        f"c = duckdb.connect({str(out)!r}, read_only=True)\n"
        "print('open', flush=True)\n"
        "sys.stdin.readline()\n"
        "print(c.execute('SELECT commit_id FROM warehouse_build').fetchall()[0][0], flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "open\n"
        build(out, {}, commit="c2")
        assert rows(out, "SELECT commit_id FROM warehouse_build") == [("c2",)]
        assert reader.communicate("go\n", timeout=20)[0] == "c1\n"


def test_what_a_killed_build_left_is_removed_a_day_later(tmp_path: Path) -> None:
    out = tmp_path / "w.duckdb"
    old, recent = tmp_path / ".w.duckdb.1-ab.building", tmp_path / ".w.duckdb.2-cd.building"
    for file in (old, recent):
        file.write_bytes(b"x")
    os.utime(old, (1, 1))
    build(out, {})
    assert (old.exists(), recent.exists()) == (False, True)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="dataset d1_bars lacks the columns minutes, complete"):
        build(tmp_path / "w.duckdb", {"d1_bars": frame("d1_bars", BARS).drop("minutes", "complete")})


def test_a_model_reads_nothing_but_the_datasets(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    secret = parquet(tmp_path, "secret.parquet", pl.DataFrame({"Symbol": ["x"]}))
    (tmp_path / "models" / "peek.sql").write_text(
        "/* model\nname: peek\nkind: table\nowner: o\ngrain: Symbol\ndescription: d\n"
        "depends_on: d1_bars\n*/\n"
        f"SELECT Symbol FROM d1_bars UNION ALL SELECT Symbol FROM read_parquet('{secret}')\n"
    )
    with pytest.raises(ModelError, match=r"peek.sql:9: .*disabled by configuration"):
        build_warehouse({}, tmp_path / "models", tmp_path / "w.duckdb", commit="c", built_at=AT)


def test_an_error_in_a_model_names_its_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "bad.sql").write_text(
        "/* model\nname: bad\nkind: view\nowner: o\ngrain: Symbol\ndescription: d\ndepends_on: d1_bars\n*/\n"
        "SELECT\n    Symbol,\n    Closed\nFROM d1_bars\n"
    )
    with pytest.raises(ModelError, match=r"bad.sql:11: .*Closed"):
        build_warehouse({}, tmp_path / "models", tmp_path / "w.duckdb", commit="c", built_at=AT)


def test_as_of_shows_a_commit_as_it_was(tmp_path: Path) -> None:
    bars = {
        "old": [PartitionFile(parquet(tmp_path, "a.parquet", frame("d1_bars", BARS[:1])), {"session": "2024-01-02"})],
        "new": [parquet(tmp_path, "b.parquet", frame("d1_bars", BARS))],
    }

    def list_files(commit: str, dataset: str) -> list[PartitionFile | Path]:
        return list(bars[commit]) if dataset == "d1_bars" else []

    counts = {}
    for commit in bars:
        with open_as_of(commit, list_files, MODELS) as connection:
            counts[commit] = connection.execute("SELECT count(*) FROM daily_bars_quality").fetchall()
    assert counts == {"old": [(1,)], "new": [(5,)]}


def test_a_missing_warehouse_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="materialise the warehouse assets first"):
        open_warehouse(tmp_path / "none.duckdb")


def test_times_read_back_are_utc(tmp_path: Path) -> None:
    out = tmp_path / "w.duckdb"
    build(out, {"d1_bars": frame("d1_bars", BARS[:1])})
    with open_warehouse(out) as connection:
        assert connection.execute("SELECT Timestamp::VARCHAR FROM d1_bars").fetchone() == ("2024-01-02 14:30:00+00",)
        with pytest.raises(duckdb.Error, match="read-only"):
            connection.execute("DELETE FROM d1_bars")
