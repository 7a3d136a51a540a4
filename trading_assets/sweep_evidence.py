"""What a published sweep says of a variant, as evidence of a decision."""

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from trading_assets.history import History

if TYPE_CHECKING:
    from trading.promotion import Robustness


class VersionOf(Protocol):
    """A variant as far as its evidence is concerned."""

    @property
    def name(self) -> str: ...
    @property
    def strategy_version(self) -> str: ...
    @property
    def config_hash(self) -> str: ...


@dataclass
class SweepEvidence:
    """Looks into the sweeps on main at one pinned commit; each is read once."""

    history: History
    _manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    _listed: list[tuple[dt.date, str]] | None = None

    def of(self, variant: VersionOf, as_of: dt.date) -> "tuple[Robustness, dict[str, str]] | None":
        """Figures of the newest sweep that started from this very variant, and the pins of it; None where there is none.

        The same settings are asked for, by ``config_hash``, and code and parameters by ``strategy_version``: the figures of
        another version say nothing of this one. Sweeps as of later sessions do not exist yet.
        """
        for session, name in self._sweeps():
            partition = {"session": session.isoformat(), "sweep": name}
            if session > as_of or not self._is_of(partition, variant):
                continue
            content = json.loads(self.history.snapshot.content("sweep", partition, "robustness.json"))
            pins = {**partition, "commit": self.history.made_by("sweep", session, {"sweep": name})}
            return _robustness(content), pins
        return None

    def _sweeps(self) -> list[tuple[dt.date, str]]:
        """Session and name of every sweep on main, the newest first."""
        if self._listed is None:
            parts = (path.split("/") for path in self.history.snapshot.partitions("sweep"))
            found = [
                (dt.date.fromisoformat(session.removeprefix("session=")), name.removeprefix("sweep="))
                for session, name in parts
            ]
            self._listed = sorted(sorted(found, key=lambda one: one[1]), key=lambda one: one[0], reverse=True)
        return self._listed

    def _is_of(self, partition: dict[str, str], variant: VersionOf) -> bool:
        key = f"{partition['session']}/{partition['sweep']}"
        if key not in self._manifests:
            self._manifests[key] = json.loads(self.history.snapshot.content("sweep", partition, "manifest.json"))
        manifest = self._manifests[key]
        return bool(
            manifest["config_hash"] == variant.config_hash and manifest["strategy_version"] == variant.strategy_version
        )


def _robustness(content: dict[str, Any]) -> "Robustness":
    """The variant's own set, and what the sweep as a whole shows."""
    from trading.promotion import Robustness

    own = content["base"]
    sharpe, forward = own["sharpe"] or {}, content["walk_forward"] or {}
    return Robustness(
        trials=sharpe.get("trials") or None,
        deflated_sharpe=sharpe.get("deflated"),
        walk_forward_folds=forward.get("folds"),
        walk_forward_expectancy=forward.get("expectancy"),
        pbo=(content["overfitting"] or {}).get("pbo"),
        neighbourhood=own["stability"]["earning"],
        fill_order_expectancy=own["fill_order"]["worst_expectancy"],
    )
