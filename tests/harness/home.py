"""A home with a small synthetic market, written as `trading demo` writes its own."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from resources.sources.synthetic_package import write_corporate_actions, write_package
from trading.synthetic import Injection, SyntheticMarket

_DEMO_FILTERS = Path(__file__).parents[2] / "configs" / "demo" / "universe.yaml"


def make_home(
    home: Path,
    *,
    sessions: int = 6,
    symbols: int = 3,
    injections: Sequence[Injection] = (),
    settings: Mapping[str, Any] | None = None,
) -> list[dt.date]:
    """Minutes under ``<home>/data`` and a platform.yaml for exactly their sessions, with the demo's gates.

    Returns:
        The sessions, ascending.
    """
    market = SyntheticMarket(seed=7, symbols=symbols, sessions=sessions, injections=injections)
    write_package(home / "data", market)
    write_corporate_actions(home / "corporate_actions.csv", market)
    content = {
        "label": market.label,
        "first_session": market.sessions[0].isoformat(),
        "last_session": market.sessions[-1].isoformat(),
        "promotion_policy": "demo/promotion.yaml",
        **(settings or {}),
    }
    actions = {"kind": "csv", "path": "corporate_actions.csv"}
    universe = {
        "source": {"kind": "folder", "path": "data"},
        "corporate_actions": actions,
        **yaml.safe_load(_DEMO_FILTERS.read_text()),
    }
    (home / "universes").mkdir(exist_ok=True)
    (home / "universes" / "demo.yaml").write_text(yaml.safe_dump(universe, sort_keys=False))
    (home / "platform.yaml").write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return market.sessions
