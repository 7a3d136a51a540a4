"""Column schemas of the published datasets, as the Dagster UI shows them; a test holds them against published frames."""

import dagster as dg

_BAR = [
    ("Symbol", "String", "ticker as the source names it"),
    ("Timestamp", "Datetime[us, UTC]", "start of the bar"),
    ("Open", "Float64", "first price, in the instrument's currency"),
    ("High", "Float64", "highest price"),
    ("Low", "Float64", "lowest price"),
    ("Close", "Float64", "last price"),
    ("Volume", "Int64", "units traded"),
]
_SESSION = ("session", "Date", "exchange session")
_WINDOWED = [
    *_BAR,
    _SESSION,
    ("minutes", "Int32", "one-minute bars present in the window"),
    ("complete", "Boolean", "every minute of the window is present"),
]

COLUMNS: dict[str, list[tuple[str, str, str]]] = {
    "m1_raw": [
        *_BAR,
        ("source_file", "String", "file that the row came from, relative to the source folder"),
    ],
    "m1_bars": [*_BAR, _SESSION],
    **dict.fromkeys(("m5_bars", "m15_bars", "h1_bars", "d1_bars"), _WINDOWED),
}


def table_schema(dataset: str) -> dg.TableSchema | None:
    columns = COLUMNS.get(dataset)
    if columns is None:
        return None
    return dg.TableSchema(columns=[dg.TableColumn(name, type=dtype, description=text) for name, dtype, text in columns])
