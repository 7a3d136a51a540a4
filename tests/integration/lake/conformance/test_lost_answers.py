"""The lake did it, the caller was never told: what is done once is not done twice.

On a server a proxy throws the answer away, and the call itself finds out what became of it. In the embedded store the
only way not to be told is to die: a process is killed right after the store had acknowledged, and the next one looks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from harness.lake_actions import commit_on, contents
from harness.lake_implementations import Provided
from harness.lossy_proxy import LossyProxy, lossy_proxy

from resources.lake import Lake, NoChanges, open_lake

Writer = Callable[..., dict[str, Any] | None]
RUN = {"run_id": "lost-1"}


@dataclass
class Unlucky:
    """A caller who does not hear the end of it. ``told`` is what it made of it; None where it died."""

    provided: Provided
    proxy: LossyProxy | None
    writer: Writer

    def commit(self, branch: str) -> str | None:
        if self.proxy is None:
            assert self.writer("commit_and_die", self.provided.uri, branch, "m", RUN) is None
            return None
        self.proxy.lose("POST", f"/branches/{branch}/commits$")
        with open_lake(self.provided.through(self.proxy.port)) as lake:
            made = lake.commit(branch, "m", RUN).id
        self.check_lost(201)
        return made

    def merge(self, source: str, dest: str) -> str | None:
        if self.proxy is None:
            assert self.writer("merge_and_die", self.provided.uri, source, dest, "m", RUN) is None
            return None
        self.proxy.lose("POST", f"/refs/{source}/merge/{dest}$")
        with open_lake(self.provided.through(self.proxy.port)) as lake:
            merged = lake.merge(source, dest, "m", RUN)
        self.check_lost(200)
        assert not merged.already_merged
        return merged.commit_id

    def check_lost(self, status: int) -> None:
        assert self.proxy is not None
        assert [lost[2] for lost in self.proxy.lost] == [status]


@pytest.fixture
def unlucky(lake_provided: Provided, writer: Writer) -> Iterator[Unlucky]:
    if lake_provided.kind == "embedded":
        yield Unlucky(lake_provided, None, writer)
        return
    with lossy_proxy(lake_provided.endpoint) as proxy:
        yield Unlucky(lake_provided, proxy, writer)


def of_the_run(lake: Lake, ref: str) -> list[str]:
    return [commit.id for commit in lake.log(ref, first_parent=True) if commit.metadata.get("run_id") == RUN["run_id"]]


def test_a_commit_whose_answer_is_lost_is_made_once(lake: Lake, unlucky: Unlucky) -> None:
    lake.create_branch("dev", "main")
    before = lake.resolve("dev")
    lake.put("dev", "a", b"1")
    told = unlucky.commit("dev")
    (made,) = of_the_run(lake, "dev")
    assert told in (None, made)
    assert lake.resolve("dev") == made and lake.get_commit(made).parents == (before,)
    assert contents(lake, "dev@") == {"a": b"1"}
    assert dict(lake.get_commit(made).metadata) == RUN
    with pytest.raises(NoChanges):
        lake.commit("dev", "m", RUN)


def test_a_merge_whose_answer_is_lost_is_made_once(lake: Lake, unlucky: Unlucky) -> None:
    lake.create_branch("dev", "main")
    source, main = commit_on(lake, "dev", {"a": b"1"}).id, lake.resolve("main")
    told = unlucky.merge("dev", "main")
    (made,) = of_the_run(lake, "main")
    assert told in (None, made)
    assert lake.resolve("main") == made and lake.get_commit(made).parents == (main, source)
    assert contents(lake, "main") == {"a": b"1"}
    again = lake.merge("dev", "main", "m", RUN)
    assert again.already_merged and again.commit_id == made
    assert of_the_run(lake, "main") == [made]


def test_a_merge_whose_answer_is_lost_is_found_below_later_ones(lake: Lake, unlucky: Unlucky) -> None:
    for name in ("dev", "other"):
        lake.create_branch(name, "main")
        commit_on(lake, name, {name: b"1"})
    unlucky.merge("dev", "main")
    lake.merge("other", "main", "m")
    assert lake.merge("dev", "main", "m", RUN).already_merged
    assert len(of_the_run(lake, "main")) == 1
    assert contents(lake, "main") == {"dev": b"1", "other": b"1"}
