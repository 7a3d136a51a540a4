"""The figures' SQL by hand-worked answers, and the table of differences that comes with the recorded bars."""

import datetime as dt
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from resources.expectations import compute_figures, judged_sessions
from resources.warehouse import SOURCES, ModelError, PartitionFile, WarehouseError, build_warehouse, open_warehouse
from trading.bars import assemble_m1, resample
from trading.sessions import get_calendar
from trading_assets.quality import FIGURES
from trading_assets.warehouse import MODELS

ROOT = Path(__file__).resolve().parents[4]
AT = dt.datetime(2024, 2, 1, tzinfo=dt.UTC)
DAYS = get_calendar("XNYS").sessions(dt.date(2023, 11, 1), dt.date(2024, 1, 12))
LAST = DAYS[-1]
Figures = Callable[..., dict[str, dict[str, Any]]]


def frame(source: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(SOURCES[source]))


def day(symbol: str, session: dt.date, close: float, **changes: Any) -> dict[str, Any]:
    """A daily bar from 1 below to 1 above its close."""
    return {
        "Symbol": symbol,
        "session": session,
        "Timestamp": get_calendar("XNYS").open(session),
        "Open": close,
        "High": close + 1,
        "Low": close - 1,
        "Close": close,
        "Volume": 1000,
        "universe": "us",
        **changes,
    }


@pytest.fixture
def figures(tmp_path: Path) -> Figures:
    """Build a warehouse and give the rows of one file of figures, the newest session's, by Symbol or other first key."""

    def work(name: str, minutes: pl.DataFrame | None = None, **datasets: pl.DataFrame) -> dict[str, dict[str, Any]]:
        warehouse, folder, nothing = tmp_path / "w.duckdb", tmp_path / name, tmp_path / "none"
        for made in (folder, nothing):
            made.mkdir(exist_ok=True)
        shutil.copy(FIGURES / f"{name}.sql", folder)
        build_warehouse(datasets, nothing, warehouse, commit="c1", built_at=AT, audits_dir=nothing)
        files = []
        if minutes is not None:
            minutes.write_parquet(tmp_path / "m1.parquet")
            files = [PartitionFile(tmp_path / "m1.parquet", {"session": str(LAST)})]
        computed = compute_figures(warehouse, judged_sessions(warehouse, 1), files, folder)
        assert (computed.commit, computed.sessions) == ("c1", (LAST,))
        found = computed.figures[name]
        rows = found.frame.to_dicts()
        assert len({tuple(row[key] for key in found.keys) for row in rows}) == len(rows)
        first = next(key for key in ("order_ref", "Symbol", "session") if key in found.keys)
        return {str(row[first]): row for row in rows}

    return work


def test_daily_bars_against_their_past_and_their_market(figures: Figures) -> None:
    # Every Symbol moves up and down by 1 % in turn, so that its usual move is ln(1.01); D falls by a third on its own.
    bars = []
    for symbol in "ABCDE":
        bars += [day(symbol, session, 100.0 * 1.01 ** (number % 2)) for number, session in enumerate(DAYS)]
    rows = frame("d1_raw", bars).with_columns(
        Volume=pl.when((pl.col("Symbol") == "C") & (pl.col("session") == LAST)).then(31_000).otherwise("Volume")
    )
    alone = (pl.col("Symbol") == "D") & (pl.col("session") == LAST)
    rows = rows.with_columns(
        pl.when(alone).then(pl.col(p) / 3).otherwise(pl.col(p)) for p in ("Open", "High", "Low", "Close")
    )
    worked = figures("daily_figures", d1_raw=rows)
    step = abs(pl.Series([1.01]).log()[0])
    thirds = pl.Series([3.0]).log()[0]
    assert worked["A"]["lone_move_zscore"] == pytest.approx(0.0)
    assert worked["D"]["lone_move_zscore"] == pytest.approx(thirds / (1.4826 * step))
    assert worked["C"]["volume_to_usual"] == 31.0
    assert worked["A"]["from_split_ratio"] is None
    # The fall is a third times the market's own step: 0.99 or 1.01 of a clean 3:1, which is what a missing split looks like.
    assert worked["D"]["from_split_ratio"] == pytest.approx(0.01, abs=2e-3)
    split = {"Symbol": "D", "ex_date": LAST, "kind": "split", "ratio": 3.0, "amount": None}
    explained = figures("daily_figures", d1_raw=rows, corporate_actions=frame("corporate_actions", [split]))
    assert explained["D"]["from_split_ratio"] is None
    assert explained["D"]["lone_move_zscore"] == pytest.approx(0.0, abs=1e-9)


def test_prices_that_stand_still_and_sessions_that_come_twice(figures: Figures) -> None:
    moving = [day("A", session, 100.0 + number) for number, session in enumerate(DAYS)]
    flat = {"High": 50.0, "Low": 50.0}
    still = [day("B", session, 50.0, **(flat if session >= DAYS[-4] else {})) for session in DAYS]
    twice = [day("C", session, 100.0 + min(number, len(DAYS) - 2)) for number, session in enumerate(DAYS)]
    worked = figures("daily_figures", d1_raw=frame("d1_raw", [*moving, *still, *twice]))
    assert [worked[symbol]["unchanged_sessions"] for symbol in "ABC"] == [0, 4, 0]
    assert [worked[symbol]["copied"] for symbol in "ABC"] == [0, 0, 1]


def test_minutes_that_stand_still_and_one_that_is_too_wide(figures: Figures) -> None:
    opening = get_calendar("XNYS").open(LAST)

    def minute(symbol: str, at: int, low: float, high: float, volume: int = 10) -> dict[str, Any]:
        prices = {"Open": low, "High": high, "Low": low, "Close": high}
        return {
            "Symbol": symbol,
            "Timestamp": opening + dt.timedelta(minutes=at),
            **prices,
            "Volume": volume,
            "session": LAST,
        }

    # ln(High / Low) is 0.001, 0.002, 0.003 in turn: median 0.002, deviation 0.001. The last minute is wider by 0.05.
    spans = [0.001, 0.002, 0.003] * 10
    wide = [minute("A", at, 100.0, 100.0 * 2.718281828**span) for at, span in enumerate([*spans, 0.052])]
    still = [minute("B", at, 100.0, 100.0) for at in range(8)]
    still[3] = minute("B", 3, 100.0, 101.0, volume=30)
    schema = {**dict.fromkeys(("Open", "High", "Low", "Close"), pl.Float64), "Timestamp": pl.Datetime("us", "UTC")}
    worked = figures(
        "m1_figures",
        minutes=pl.DataFrame([*wide, *still], schema_overrides=schema),
        d1_raw=frame("d1_raw", [day("A", LAST, 100.0)]),
    )
    assert worked["A"]["widest_minute_zscore"] == pytest.approx(0.05 / (1.4826 * 0.001), rel=1e-6)
    assert worked["A"]["stuck_minutes"] == 0
    # Minutes 1 and 2 repeat minute 0; minute 4 falls back to 100, and 5, 6, 7 repeat it.
    assert worked["B"]["stuck_minutes"] == 3
    assert worked["B"]["busiest_minute_share"] == pytest.approx(0.3)


def test_a_symbol_missing_alone_and_a_session_that_is_thin(figures: Figures) -> None:
    def row(symbol: str, session: dt.date, present: int) -> dict[str, Any]:
        minutes = {"minutes_expected": 390, "minutes_present": present, "coverage": present / 390}
        return {
            "Symbol": symbol,
            "session": session,
            **minutes,
            "longest_gap": 0,
            "exact_duplicates": 0,
            "passed": True,
        }

    alone = [
        row(symbol, session, 0 if (symbol, session) == ("C", LAST) else 390) for symbol in "ABC" for session in DAYS
    ]
    quality = frame("bar_quality", alone)
    assert [figures("coverage_figures", bar_quality=quality)[symbol]["missing_alone"] for symbol in "ABC"] == [0, 0, 1]
    assert figures("market_figures", bar_quality=quality)[str(LAST)]["present_share"] == pytest.approx(2 / 3)
    all_gone = quality.with_columns(
        minutes_present=pl.when(pl.col("session") == LAST).then(0).otherwise("minutes_present")
    )
    missing = figures("coverage_figures", bar_quality=all_gone)
    assert [missing[symbol]["missing_alone"] for symbol in "ABC"] == [0, 0, 0]
    assert figures("market_figures", bar_quality=all_gone)[str(LAST)]["present_share"] == 0.0


def test_a_market_that_jumps_and_symbols_that_move_alike(figures: Figures) -> None:
    bars = [day(symbol, session, 100.0 + number) for number, symbol in enumerate("ABCD") for session in DAYS[:-1]]
    jumped = [day(symbol, LAST, (100.0 + number) * 1.2) for number, symbol in enumerate("ABCD")]
    rows = pl.DataFrame(
        [{key: value for key, value in bar.items() if key != "universe"} for bar in [*bars, *jumped]]
    ).with_columns(minutes=pl.lit(390, pl.Int32), complete=True)
    quality = frame("bar_quality", [{"Symbol": "A", "session": day_, "minutes_present": 390} for day_ in DAYS])
    worked = figures("market_figures", d1_bars=rows, bar_quality=quality)[str(LAST)]
    assert worked["median_move"] == pytest.approx(pl.Series([1.2]).log()[0])
    assert worked["alike_share"] == 1.0


def test_orders_against_the_bars_of_their_day(figures: Figures) -> None:
    bars = frame("d1_raw", [day("A", session, 100.0) for session in DAYS]).drop("universe")
    bars = bars.with_columns(minutes=pl.lit(390, pl.Int32), complete=True)

    def intent(ref: str, side: int, stop: float, entry: float = 110.0) -> dict[str, Any]:
        return {
            "order_ref": ref,
            "session": LAST,
            "Symbol": "A",
            "side": side,
            "qty": 1.0,
            "entry": entry,
            "stop": stop,
        }

    intents = frame("order_intents", [intent("long", 1, 99.0), intent("short", -1, 99.0)])
    fills = frame("fills", [{"order_ref": "long", "session": LAST, "price": price} for price in (101.0, 102.01)])
    worked = figures("order_figures", d1_bars=bars, order_intents=intents, fills=fills)
    assert [worked[ref]["stop_wrong_side"] for ref in ("long", "short")] == [0, 1]
    assert worked["long"]["entry_from_close"] == pytest.approx(0.1)
    assert worked["long"]["fill_outside_bps"] == pytest.approx(100.0)
    assert worked["short"]["fill_outside_bps"] == 0.0
    # 100 before a 2:1 split overnight is 50 after it.
    split = {"Symbol": "A", "ex_date": LAST, "kind": "split", "ratio": 2.0, "amount": None}
    actions = frame("corporate_actions", [split])
    halved = frame("order_intents", [intent("long", 1, 45.0, entry=55.0)])
    worked = figures("order_figures", d1_bars=bars, order_intents=halved, corporate_actions=actions)
    assert worked["long"]["entry_from_close"] == pytest.approx(0.1)


def test_no_warehouse_yet_and_a_wrong_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="there is no warehouse"):
        judged_sessions(tmp_path / "w.duckdb", 1)
    build_warehouse({}, MODELS, tmp_path / "w.duckdb", commit="c1", built_at=AT)
    assert judged_sessions(tmp_path / "w.duckdb", None) == ()
    header = "/* model\nname: odd\nkind: view\nowner: o\ngrain: Symbol\ndescription: d\ndepends_on: {0}\n*/\n"
    odd = tmp_path / "odd.sql"
    odd.write_text(f"{header.format('d9_raw')}SELECT Symbol FROM d9_raw\n")
    with pytest.raises(WarehouseError, match=r"has no d9_raw, .* materialise group:warehouse anew"):
        compute_figures(tmp_path / "w.duckdb", (), [], tmp_path)
    odd.write_text(f"{header.format('d1_raw')}SELECT Symbol, Price FROM d1_raw\n")
    with pytest.raises(ModelError, match=r"odd\.sql:9: .*Price"):
        compute_figures(tmp_path / "w.duckdb", (), [], tmp_path)


README_ROW = re.compile(r"\| (\w+) \| (\d{4}-\d\d-\d\d) \| \w+ \| ([^|]+) \| ([\d.]+) \|")
DIFFERENCE = re.compile(r"(Open|High|Low|Close) ([\d.]+) vs ([\d.]+)")


def test_minutes_against_daily_bars_come_out_as_described(tmp_path: Path) -> None:
    folder = Path(os.environ.get("TRADING_TEST_MARKET_DATA") or ROOT.parent / "shared" / "market_data")
    readme = folder / "README.md"
    if not readme.is_file() or not (folder / "d1").is_dir():
        pytest.skip(f"no recorded bars in {folder}; set TRADING_TEST_MARKET_DATA")
    raw = [
        pl.read_parquet(file).select(
            Symbol=pl.lit(file.parent.name),
            Timestamp=pl.col("Timestamp").cast(pl.Datetime("us", "UTC")),
            **{name: pl.col(name) for name in ("Open", "High", "Low", "Close", "Volume")},
        )
        for file in sorted((folder / "m1").rglob("*.parquet"))
    ]
    d1_bars = resample(assemble_m1(raw).bars, "1d", policy="keep")
    frames = [
        pl.read_parquet(file).rename({"Date": "session"}).with_columns(Symbol=pl.lit(file.stem), universe=pl.lit("us"))
        for file in sorted((folder / "d1").glob("*.parquet"))
    ]
    d1_raw = pl.concat(frames).with_columns(Timestamp=pl.col("session").cast(pl.Datetime("us", "UTC")))
    d1_raw = d1_raw.join(d1_bars.select("Symbol", "session"), on=["Symbol", "session"], how="semi")
    build_warehouse({"d1_bars": d1_bars, "d1_raw": d1_raw}, MODELS, tmp_path / "w.duckdb", commit="c1", built_at=AT)
    with open_warehouse(tmp_path / "w.duckdb") as warehouse:
        rows = warehouse.sql("SELECT * FROM minutes_against_daily").pl().to_dicts()
    worked = {(row["Symbol"], str(row["session"])): row for row in rows}
    described = {(found[1], found[2]): (found[3], float(found[4])) for found in README_ROW.finditer(readme.read_text())}
    without_daily_file = {key for key in described if key[0] == "BAC"}
    assert len(described) == 26 and set(worked) == set(described) - without_daily_file
    for key, row in worked.items():
        differences, ratio = described[key]
        assert round(row["volume_ratio"], 4) == ratio, key
        expected = {name: (float(ours), float(theirs)) for name, ours, theirs in DIFFERENCE.findall(differences)}
        found = {
            name: (row[f"minutes_{name.lower()}"], row[f"daily_{name.lower()}"])
            for name in ("Open", "High", "Low", "Close")
            if row[f"{name.lower()}_bps"] != 0
        }
        assert found == expected, key
