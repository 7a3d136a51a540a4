"""cheats.py, frames.py and reference.py as fixtures: in importlib mode neighbours do not import each other."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _load(name: str) -> ModuleType:
    qualified = f"_strategy_tests_{name}"
    if qualified not in sys.modules:
        spec = importlib.util.spec_from_file_location(qualified, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[qualified] = module
        spec.loader.exec_module(module)
    return sys.modules[qualified]


@pytest.fixture(scope="session")
def frames() -> ModuleType:
    return _load("frames")


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    return _load("reference")


@pytest.fixture(scope="session")
def cheats() -> ModuleType:
    return _load("cheats")
