"""Runs every test of this package on every implementation of the lake."""

import pytest
from harness.lake_implementations import IMPLEMENTATIONS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    chosen = any("lake_provided" in str(mark.args[:1]) for mark in metafunc.definition.iter_markers("parametrize"))
    if "lake_provided" in metafunc.fixturenames and not chosen:
        metafunc.parametrize("lake_provided", IMPLEMENTATIONS, indirect=True)
