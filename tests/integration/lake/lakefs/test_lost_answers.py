"""What becomes of a call whose answer is lost: it happened once, or the caller is told that nobody knows."""

import re
import threading
import time
from collections.abc import Callable

import pytest
from harness.lakefs_faults import Fault

from resources.lake import (
    AlreadyExists,
    Lake,
    LakeUnavailable,
    MergeResult,
    NoChanges,
    ObjectNotFound,
    PreconditionFailed,
    RefNotFound,
)

from .conftest import TIMEOUT_SECONDS, Remote

COMMIT, MERGE, REVERT = "/branches/dev/commits$", "/refs/.*/merge/", "/branches/dev/revert$"
LOST = ["drop", "drop answer"]
"""Before the server did anything, and after it did all."""


def commits(remote: Remote, ref: str) -> int:
    return len(list(remote.behind.log(ref)))


class TestCommit:
    @pytest.mark.parametrize("action", LOST)
    def test_is_made_once(self, remote: Remote, action: str) -> None:
        remote.lake.put("dev", "a", b"1")
        remote.strike(action, "POST", COMMIT)
        commit = remote.lake.commit("dev", "why", {"k": "v"})
        assert commit.id == remote.behind.resolve("dev")
        assert (commit.message, dict(commit.metadata)) == ("why", {"k": "v"})
        assert commits(remote, "dev") == 2

    def test_the_servers_failure_after_the_fact_is_seen_through(self, remote: Remote) -> None:
        remote.lake.put("dev", "a", b"1")
        remote.strike("answer", "POST", COMMIT, status=500, body=b'{"message":"disk on fire"}')
        assert remote.lake.commit("dev", "m").id == remote.behind.resolve("dev")

    def test_an_empty_one_is_not_sent_twice(self, remote: Remote) -> None:
        remote.strike("drop answer", "POST", COMMIT)
        assert remote.lake.commit("dev", "m", allow_empty=True).id == remote.behind.resolve("dev")
        remote.strike("drop", "POST", COMMIT)
        with pytest.raises(
            LakeUnavailable, match=r"not known: look for trading-request=[0-9a-f]{32} in the commits of dev"
        ):
            remote.lake.commit("dev", "m", allow_empty=True)
        assert remote.count("POST", COMMIT) == 1
        assert commits(remote, "dev") == 2

    def test_a_repeat_that_finds_the_first_one_just_landed_is_no_failure(self, remote: Remote) -> None:
        remote.lake.put("dev", "a", b"1")
        # lands after the look for it and before the repeat, which then finds nothing to commit
        remote.strike("delay", "POST", COMMIT, seconds=TIMEOUT_SECONDS + 0.5)
        remote.faults.add(Fault("delay", "POST", COMMIT, first=2, seconds=0.8))
        commit = remote.lake.commit("dev", "m")
        assert commit.id == remote.behind.resolve("dev")
        assert (remote.count("POST", COMMIT), commits(remote, "dev")) == (2, 2)

    def test_one_that_lands_a_moment_later_is_seen(self, remote: Remote) -> None:
        remote.strike("delay", "POST", COMMIT, seconds=TIMEOUT_SECONDS + 0.3)
        assert remote.lake.commit("dev", "m", allow_empty=True).id == remote.behind.resolve("dev")
        assert remote.count("POST", COMMIT) == 1

    def test_the_id_in_the_message_is_the_one_in_the_metadata(self, remote: Remote) -> None:
        remote.lake.put("dev", "a", b"1")
        remote.strike("drop answer", "POST", COMMIT)
        remote.faults.add(Fault("drop", "GET", "/commits", times=1000))
        with pytest.raises(LakeUnavailable) as caught:
            remote.lake.commit("dev", "m")
        found = re.search(r"trading-request=(\w+)", str(caught.value))
        assert found is not None
        assert remote.behind.get_commit("dev").metadata["trading-request"] == found[1]

    @pytest.mark.parametrize("action", ["delay", "delay answer"])
    def test_a_server_that_is_only_slow_commits_once(self, remote: Remote, action: str) -> None:
        remote.lake.put("dev", "a", b"1")
        remote.strike(action, "POST", COMMIT, seconds=TIMEOUT_SECONDS + 1)
        commit = remote.lake.commit("dev", "m")
        time.sleep(1.5)  # now the first request is through as well
        assert remote.behind.resolve("dev") == commit.id
        assert commits(remote, "dev") == 2

    def test_what_another_writer_committed_meanwhile_is_not_claimed(self, remote: Remote) -> None:
        remote.lake.put("dev", "a", b"1")
        remote.strike("drop", "POST", COMMIT)
        remote.faults.add(Fault("delay", "GET", "/commits", seconds=1.0))
        outcome: list[BaseException] = []

        def commit() -> None:
            try:
                remote.lake.commit("dev", "mine")
            except NoChanges as error:
                outcome.append(error)

        thread = threading.Thread(target=commit)
        thread.start()
        time.sleep(0.4)
        theirs = remote.behind.commit("dev", "theirs")
        thread.join(20)
        assert len(outcome) == 1
        assert remote.behind.resolve("dev") == theirs.id


class TestMerge:
    @pytest.fixture
    def main(self, remote: Remote) -> str:
        remote.lake.put("dev", "a", b"1")
        remote.lake.commit("dev", "m")
        return remote.lake.resolve("main")

    @pytest.mark.parametrize("action", LOST)
    def test_is_made_once(self, remote: Remote, main: str, action: str) -> None:
        remote.strike(action, "POST", MERGE)
        result = remote.lake.merge("dev", "main", "m", {"k": "v"})
        assert result == MergeResult(remote.behind.resolve("main"), already_merged=False)
        commit = remote.lake.get_commit("main")
        assert commit.parents == (main, remote.lake.resolve("dev"))
        assert dict(commit.metadata) == {"k": "v"}

    @pytest.mark.parametrize("action", ["delay", "delay answer"])
    def test_a_server_that_is_only_slow_merges_once(self, remote: Remote, main: str, action: str) -> None:
        remote.strike(action, "POST", MERGE, seconds=TIMEOUT_SECONDS + 1)
        result = remote.lake.merge("dev", "main", "m")
        time.sleep(1.5)
        assert result.commit_id == remote.behind.resolve("main")
        assert remote.behind.get_commit("main").parents[0] == main

    def test_of_commits_that_change_nothing_is_not_sent_twice(self, remote: Remote) -> None:
        remote.lake.commit("dev", "m", allow_empty=True)
        remote.strike("drop answer", "POST", MERGE, first=2)
        assert not remote.lake.merge("dev", "main", "m").already_merged
        assert commits(remote, "main") == 3
        remote.lake.commit("dev", "again", allow_empty=True)
        remote.strike("drop", "POST", MERGE, first=2)
        with pytest.raises(LakeUnavailable, match="not known"):
            remote.lake.merge("dev", "main", "m")
        assert commits(remote, "main") == 3

    def test_what_was_merged_before_is_told_so_although_the_answer_was_lost(self, remote: Remote, main: str) -> None:
        merged = remote.lake.merge("dev", "main", "m").commit_id
        remote.strike("drop answer", "POST", MERGE)
        assert remote.lake.merge("dev", "main", "m") == MergeResult(merged, already_merged=True)


@pytest.mark.parametrize("action", LOST)
def test_a_revert_is_made_once(remote: Remote, action: str) -> None:
    remote.lake.put("dev", "a", b"1")
    undone = remote.lake.commit("dev", "m")
    remote.strike(action, "POST", REVERT)
    reverted = remote.lake.revert("dev", undone.id)
    assert reverted.id == remote.behind.resolve("dev")
    assert reverted.parents == (undone.id,)
    assert reverted.message == f"Revert {undone.id}" and dict(reverted.metadata) == {}
    assert list(remote.behind.list("dev")) == []


@pytest.mark.parametrize("action", LOST)
def test_a_rollback_is_made(remote: Remote, action: str) -> None:
    remote.lake.put("dev", "a", b"1")
    remote.lake.commit("dev", "m")
    remote.strike(action, "PUT", "/hard_reset")
    assert remote.lake.rollback("dev", "main") == remote.behind.resolve("dev") == remote.behind.resolve("main")


class TestRefs:
    @pytest.mark.parametrize("action", LOST)
    def test_made_once(self, remote: Remote, action: str) -> None:
        remote.strike(action, "POST", "/branches$")
        assert remote.lake.create_branch("b", "main") == remote.behind.resolve("b")
        remote.strike(action, "POST", "/tags$")
        assert remote.lake.create_tag("t", "dev") == remote.behind.resolve("t")

    @pytest.mark.parametrize("action", LOST)
    def test_a_name_that_another_has_taken_is_not_claimed(self, remote: Remote, action: str) -> None:
        remote.lake.put("dev", "a", b"1")
        remote.lake.commit("dev", "m")
        remote.behind.create_branch("taken", "dev")
        remote.behind.create_tag("pinned", "dev")
        remote.strike(action, "POST", "/branches$")
        with pytest.raises(AlreadyExists, match="taken"):
            remote.lake.create_branch("taken", "main")
        remote.strike(action, "POST", "/tags$")
        with pytest.raises(AlreadyExists, match="pinned"):
            remote.lake.create_tag("pinned", "main")

    @pytest.mark.parametrize("action", LOST)
    def test_deleted_once(self, remote: Remote, action: str) -> None:
        remote.lake.create_tag("t", "dev")
        remote.strike(action, "DELETE", "/branches/dev$")
        remote.lake.delete_branch("dev")
        remote.strike(action, "DELETE", "/tags/t$")
        remote.lake.delete_tag("t")
        assert list(remote.behind.list_branches()) == ["main"] and remote.behind.list_tags() == {}
        with pytest.raises(RefNotFound):
            remote.lake.delete_branch("dev")


READS: list[tuple[str, Callable[[Lake], object]]] = [
    ("/objects", lambda lake: lake.get("dev@", "a")),
    ("/objects", lambda lake: lake.get("dev@", "a", byte_range=(0, 100_000))),
    ("/objects[?]", lambda lake: lake.local_path("dev@", "a").read_bytes()),
    ("/objects/stat", lambda lake: lake.stat("dev@", "a").checksum),
    ("/objects/ls", lambda lake: [item.path for item in lake.list("dev@")]),
    ("/commits/dev", lambda lake: lake.resolve("dev")),
    ("/commits", lambda lake: [commit.id for commit in lake.log("dev")]),
    ("/branches", lambda lake: lake.list_branches()),
    ("/diff/", lambda lake: list(lake.diff("main", "dev"))),
    ("/diff", lambda lake: list(lake.uncommitted("dev"))),
    ("/merge/", lambda lake: lake.merge_base("main", "dev")),
]


class TestObjects:
    @pytest.mark.parametrize("action", LOST)
    def test_a_put_is_sent_again(self, remote: Remote, action: str) -> None:
        remote.strike(action, "POST", "/objects")
        assert remote.lake.put("dev", "a", b"1") == remote.lake.stat("dev", "a")
        assert remote.count("POST", "/objects") == 2

    @pytest.mark.parametrize("action", LOST)
    def test_who_won_a_put_if_absent_cannot_be_told(self, remote: Remote, action: str) -> None:
        remote.strike(action, "POST", "/objects")
        with pytest.raises(LakeUnavailable):
            remote.lake.put("dev", "a", b"1", if_absent=True)
        assert remote.count("POST", "/objects") == 1

    @pytest.mark.parametrize("status", [429, 500])
    def test_a_put_if_absent_that_was_refused_for_contention_is_sent_again(self, remote: Remote, status: int) -> None:
        body = b'{"message":"safe branch write: too many tries"}'
        remote.strike("answer", "POST", "/objects", status=status, body=body)
        remote.lake.put("dev", "a", b"1", if_absent=True)
        with pytest.raises(PreconditionFailed):
            remote.lake.put("dev", "a", b"2", if_absent=True)

    @pytest.mark.parametrize("action", LOST)
    def test_a_delete_and_a_discard_are_sent_again(self, remote: Remote, action: str) -> None:
        remote.lake.put("dev", "a", b"1")
        remote.strike(action, "POST", "/objects/delete")
        remote.lake.delete("dev", "a")
        with pytest.raises(ObjectNotFound):
            remote.behind.stat("dev", "a")
        remote.lake.put("dev", "b", b"1")
        remote.strike(action, "PUT", "/branches/dev$")
        remote.lake.discard("dev")
        assert list(remote.behind.uncommitted("dev")) == []

    @pytest.mark.parametrize("action", ["drop", "drop answer", "truncate", "reset"])
    def test_a_read_is_sent_again(self, remote: Remote, action: str) -> None:
        remote.lake.put("dev", "a", b"content" * 20_000)
        remote.lake.commit("dev", "m")
        for path, read in READS:
            expected = read(remote.behind)
            remote.strike(action, "GET", path)
            assert read(remote.lake) == expected, path
            remote.count()
            assert any(seen.fault == action for seen in remote.faults.requests), path
