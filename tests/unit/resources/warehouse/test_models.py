from pathlib import Path

import pytest

from resources.warehouse import SOURCES, ModelError, load_audits, load_models

REPO = Path(__file__).resolve().parents[4]

HEADER = """\
/* model
name: {name}
kind: table
owner: team:desk
grain: Symbol
description: something
  said in two lines
depends_on: {deps}
*/
"""


def write(folder: Path, name: str, deps: str = "d1_bars", sql: str = "SELECT Symbol FROM d1_bars") -> Path:
    file = folder / f"{name}.sql"
    file.write_text(HEADER.format(name=name, deps=deps) + sql + "\n")
    return file


def test_a_header_is_read_and_the_sql_located(tmp_path: Path) -> None:
    write(tmp_path, "closes", sql="\n\nSELECT Symbol\nFROM d1_bars;")
    (model,) = load_models(tmp_path, sources=SOURCES)
    assert (model.name, model.kind, model.owner, model.grain) == ("closes", "table", "team:desk", ("Symbol",))
    assert model.description == "something said in two lines"
    assert (model.sql, model.sql_line) == ("SELECT Symbol\nFROM d1_bars", 12)


def test_models_come_after_what_they_depend_on(tmp_path: Path) -> None:
    write(tmp_path, "a", deps="b, c", sql="SELECT b.Symbol FROM b JOIN c ON b.Symbol = c.Symbol")
    write(tmp_path, "b", deps="c", sql="WITH x AS (SELECT Symbol FROM c) SELECT * FROM x")
    write(tmp_path, "c")
    assert [model.name for model in load_models(tmp_path, sources=SOURCES)] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("/* model", "-- model", 1, "must begin with a line `/* model`"),
        ("*/\n", "", 9, "`key: value` lines"),
        ("owner: team:desk\n", "", 1, "lacks owner"),
        ("grain: Symbol", "grain:", 5, "lacks grain"),
        ("grain: Symbol", "grain: one row a day", 5, "lists columns"),
        ("kind: table", "kind: cube", 3, "use view or table"),
        ("kind: table", "kid: table", 3, "kid is unknown in a header"),
        ("kind: table", "kind: table\nkind: view", 4, "given twice, first in line 3"),
        ("name: m", "name: n", 2, "the file is m.sql"),
        ("depends_on: d1_bars", "depends_on: d2_bars", 8, "d2_bars: unknown"),
        ("depends_on: d1_bars", "depends_on: d1_bars, m5_bars", 8, "but the SELECT uses d1_bars"),
        ("SELECT Symbol FROM d1_bars", "SELECT Symbol\nFROM WHERE", 11, "syntax error"),
        (
            "SELECT Symbol FROM d1_bars",
            "SELECT Symbol FROM d1_bars; DROP TABLE d1_bars",
            10,
            "exactly one SELECT",
        ),
        ("SELECT Symbol FROM d1_bars", "DELETE FROM d1_bars", 10, "exactly one SELECT"),
    ],
)
def test_a_wrong_file_is_refused_by_file_and_line(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    file = write(tmp_path, "m")
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(ModelError) as caught:
        load_models(tmp_path, sources=SOURCES)
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert message in str(caught.value)


def test_a_circle_is_named(tmp_path: Path) -> None:
    write(tmp_path, "a", deps="b", sql="SELECT Symbol FROM b")
    write(tmp_path, "b", deps="a", sql="SELECT Symbol FROM a")
    with pytest.raises(ModelError, match=r"circle: (a -> b -> a|b -> a -> b)"):
        load_models(tmp_path, sources=SOURCES)


@pytest.mark.parametrize(
    ("listed", "model", "sql", "message"),
    [
        ("checked", "m", "SELECT * FROM nowhere", "uses nowhere: no such model"),
        ("checked", "other", "SELECT * FROM m", "audit checked is of other"),
        ("missing", "m", "SELECT * FROM m", "there is no"),
        ("", "m", "SELECT * FROM m", "no model lists this audit"),
    ],
)
def test_audits_and_models_must_fit(tmp_path: Path, listed: str, model: str, sql: str, message: str) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "audits").mkdir()
    file = write(tmp_path / "models", "m")
    file.write_text(file.read_text().replace("*/", f"audits: {listed}\n*/"))
    (tmp_path / "audits" / "checked.sql").write_text(
        f"/* audit\nname: checked\nmodel: {model}\nseverity: error\ndescription: none\n*/\n{sql}\n"
    )
    models = load_models(tmp_path / "models", sources=SOURCES)
    with pytest.raises(ModelError, match=message):
        load_audits(tmp_path / "audits", models, sources=SOURCES)


def test_the_products_own_models_and_audits_load() -> None:
    models = load_models(REPO / "dbt_like_sql" / "models", sources=SOURCES)
    audits = load_audits(REPO / "dbt_like_sql" / "audits", models, sources=SOURCES)
    assert {"daily_bars_quality", "variant_performance", "orders_with_outcome", "portfolio_daily"} <= {
        model.name for model in models
    }
    assert audits
