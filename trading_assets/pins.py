"""Tags on the commits behind decisions and orders, so that no retention ever takes what they rest on."""

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resources.lake import Commit, Lake


@dataclass
class Pins:
    """Tags set by one run; what an earlier one has tagged already is left as it is."""

    lake: "Lake"
    _done: set[str] = field(default_factory=set)

    def tag(self, name: str, commit: str) -> None:
        from resources.lake import AlreadyExists

        if name in self._done:
            return
        with contextlib.suppress(AlreadyExists):  # by an earlier run, perhaps one that was killed after it
            self.lake.create_tag(name, commit)
        self._done.add(name)

    def lineage(self, commits: Iterable[str]) -> None:
        """``lineage-<commit>`` on each."""
        for commit in commits:
            self.tag(f"lineage-{commit}", commit)

    def publication(self, commit: "Commit") -> None:
        """The commit of a publish, and those its inputs were read at."""
        inputs: dict[str, str] = json.loads(commit.metadata.get("inputs", "{}"))
        self.lineage((commit.id, *inputs.values()))
