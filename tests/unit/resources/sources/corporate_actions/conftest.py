import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from resources.sources.context import SourceContext

NOW = dt.datetime(2024, 3, 1, 21, tzinfo=dt.UTC)


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., SourceContext]:
    def made(symbols: tuple[str, ...] | None = None, env: Mapping[str, str] | None = None) -> SourceContext:
        return SourceContext(tmp_path, tmp_path / "downloads", "XNYS", symbols, lambda: NOW, env or {})

    return made
