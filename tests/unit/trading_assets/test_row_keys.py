"""The declared keys against the contracts that promise them, and against the columns the UI shows."""

import re

import pytest

import trading.bars
import trading.features.universe
import trading.orders
import trading.strategies  # noqa: F401 - registers its contract, as the imports above do
from trading.contracts import _schema
from trading_assets.row_keys import KEYS, row_keys
from trading_assets.schemas import COLUMNS

CONTRACTS = {
    "m1_bars": "m1_bars",
    **dict.fromkeys(("m5_bars", "m15_bars", "h1_bars", "d1_bars"), "bars"),
    "bar_quality": "bar_quality",
    "signals": "signals",
    "universe": "universe",
}


@pytest.mark.parametrize("dataset", sorted(CONTRACTS))
def test_a_key_holds_what_the_contract_says_is_unique(dataset: str) -> None:
    [says] = [str(check.error) for check in _schema(CONTRACTS[dataset]).checks if check.name == "sorted_unique"]
    found = re.fullmatch(r"rows must ascend by (.+), each once", says)
    assert found is not None
    assert set(found[1].split(", ")) <= set(row_keys(f"{dataset}/session=2024-01-02/data.parquet"))


@pytest.mark.parametrize("dataset", sorted(COLUMNS))
def test_the_keys_of_data_files_are_columns(dataset: str) -> None:
    columns = {name for name, _, _ in COLUMNS[dataset]}
    assert columns.issuperset(KEYS.get((dataset, "data.parquet"), ()))


def test_only_what_has_no_identity_has_no_key() -> None:
    assert {dataset for dataset in COLUMNS if (dataset, "data.parquet") not in KEYS} == {"reconciliation"}
    assert row_keys("reconciliation/session=2024-01-02/account=paper/data.parquet") == ()
    assert row_keys("nowhere/data.parquet") == ()
