"""Status and text of what a client of lakeFS may go by: the test server and a real one are asked the same."""

import base64
import hashlib
import os
from collections.abc import Iterator
from typing import Any

import pytest
from harness.lake_implementations import IMPLEMENTATIONS, Provided
from harness.lakefs_raw import Raw, Told

pytestmark = pytest.mark.parametrize(
    "lake_provided", [kind for kind in IMPLEMENTATIONS if kind != "embedded"], indirect=True
)


@pytest.fixture
def raw(lake_provided: Provided) -> Iterator[Raw]:
    with lake_provided.raw() as client:
        yield client


INVALID = "invalid value: validation error"


def refused(told: Told, status: int, message: str) -> None:
    assert (told.status, told.message) == (status, message)


def test_repositories_and_accounts(raw: Raw, lake_provided: Provided) -> None:
    refused(raw.ask("GET", "//repositories/nosuchrepository"), 404, "repository not found")
    refused(raw.ask("GET", "//repositories/nosuchrepository/branches"), 404, "repository not found")
    refused(raw.ask("GET", "//repositories/NO"), 400, f"argument repository: repository id: {INVALID}")
    refused(raw.ask("GET", "//nosuch"), 404, "invalid API endpoint")
    again = {"name": lake_provided.repository, "storage_namespace": "local://again"}
    refused(raw.ask("POST", "//repositories", again), 409, "error creating repository: not unique")
    stranger = {"Authorization": "Basic " + base64.b64encode(b"who:what").decode()}
    refused(raw.ask("GET", "", headers=stranger), 401, "error authenticating request")
    assert raw.ask("GET", "//healthcheck", headers=stranger).status == 204
    assert raw.ask("GET", "//config/storage").json["blockstore_type"]


def test_branches_and_tags(raw: Raw) -> None:
    head = raw.head("main")
    made = raw.branch("dev")
    assert (made.status, made.body) == (201, head.encode())
    assert made.headers["Content-Type"] == "text/plain; charset=utf-8"
    refused(raw.branch("dev"), 409, "branch already exists: not unique")
    refused(raw.branch("dev", "nope"), 404, "source reference 'nope': not found")
    refused(raw.branch(""), 500, "argument branch: required value: validation error")
    explained = "branch id must consist of letters, digits, underscores and dashes, and cannot start with a dash"
    refused(raw.branch("a.b"), 400, f"argument branch: branch id: {INVALID}: {explained}")
    tag = raw.ask("POST", "/tags", {"id": "v1", "ref": "dev"})
    assert (tag.status, tag.json) == (201, {"commit_id": head, "id": "v1"})
    refused(raw.ask("POST", "/tags", {"id": "v1", "ref": "dev"}), 409, "tag already exists: not unique")
    refused(raw.ask("POST", "/tags", {"id": "dev", "ref": "dev"}), 409, "branch name dev: conflict found")
    refused(raw.branch("v1"), 409, "tag ID v1: conflict found")
    refused(raw.branch(head), 409, f"commit ID {head}: conflict found")
    refused(raw.ask("POST", "/tags", {"id": "a b", "ref": "dev"}), 400, f"argument tagID: tag id: {INVALID}")
    refused(raw.ask("POST", "/tags", {"id": "t", "ref": "nope"}), 404, "not found")
    refused(raw.ask("DELETE", "/tags/nope"), 404, "tag not found")
    refused(raw.ask("DELETE", "/branches/nope"), 404, "branch not found")
    refused(raw.ask("DELETE", "/branches/main"), 403, "cannot delete repository default branch")
    assert raw.ask("DELETE", "/tags/v1").status == raw.ask("DELETE", "/branches/dev").status == 204


def test_refs(raw: Raw) -> None:
    head = raw.head("main")
    raw.branch("dev")
    raw.ask("POST", "/tags", {"id": "v1", "ref": "dev"})
    for ref in ("dev", "dev@", "v1", head, head[:12]):
        assert raw.ask("GET", f"/commits/{ref}").json["id"] == head
    for ref in ("nope", "0" * 64, "a b", "nope@"):
        refused(raw.ask("GET", f"/commits/{ref}"), 404, "commit not found")
    refused(raw.ask("GET", "/commits/v1@"), 500, f"ref: {INVALID}")
    refused(raw.ask("GET", "/refs/nope/commits"), 404, "ref: not found")
    refused(raw.ask("GET", "/refs/nope/objects/ls"), 404, "not found")
    refused(raw.ask("GET", "/refs/nope/objects/stat", path="a"), 404, "not found")
    refused(raw.ask("GET", "/refs/dev/objects/stat", path="a"), 404, "not found")
    refused(raw.ask("GET", "/refs/a b/objects/ls"), 400, f"argument ref: ref: {INVALID}")
    refused(raw.ask("GET", "/refs/v1@/objects/ls"), 400, f"ref: {INVALID}")


def test_objects(raw: Raw) -> None:
    raw.branch("dev")
    told = raw.put("dev", "a", b"hello", X_LakeFS_Meta_Key="v", X_Other="w")
    assert told.status == 201
    stats = told.json
    assert stats.pop("mtime") > 1_700_000_000 and stats.pop("physical_address")
    assert stats == {
        "checksum": hashlib.md5(b"hello").hexdigest(),
        "content_type": "application/octet-stream",
        "metadata": {"key": "v"},
        "path": "a",
        "path_type": "object",
        "size_bytes": 5,
    }
    assert raw.ask("GET", "/refs/dev/objects/stat", path="a").json == told.json
    whole = raw.ask("GET", "/refs/dev/objects", path="a")
    assert (whole.status, whole.body) == (200, b"hello")
    lower = {name.lower(): value for name, value in whole.headers.items()}
    assert lower["etag"] == '"5d41402abc4b2a76b9719d911017c592"'
    refused(raw.put("nope", "a"), 404, "branch 'nope' not found")
    refused(raw.put("dev", ""), 400, 'parameter "path" in query has an error: empty value is not allowed')
    long = "argument path: invalid value: validation error: 1025 is above maximum length (1024)"
    refused(raw.put("dev", "x" * 1025), 400, long)
    refused(raw.put("dev", "a", b"2", If_None_Match="*"), 412, "path already exists")
    refused(raw.put("dev", "a", b"2", If_Match="x"), 501, "Not Implemented")
    assert raw.put("dev", "b", b"2", If_None_Match="*").status == 201


@pytest.mark.parametrize(
    ("asked", "status", "content", "told"),
    [
        ("bytes=0-1", 206, b"he", "bytes 0-1/5"),
        ("bytes=3-", 206, b"lo", "bytes 3-4/5"),
        ("bytes=-2", 206, b"lo", "bytes 3-4/5"),
        ("bytes=0-99", 206, b"hello", "bytes 0-4/5"),
        ("bytes=5-6", 416, None, "bytes */5"),
        ("bytes=3-1", 416, None, None),
    ],
)
def test_ranges(raw: Raw, asked: str, status: int, content: bytes | None, told: str | None) -> None:
    raw.branch("dev")
    raw.put("dev", "a", b"hello")
    answer = raw.ask("GET", "/refs/dev/objects", headers={"Range": asked}, path="a")
    assert (answer.status, answer.headers.get("Content-Range")) == (status, told)
    if content is None:
        assert answer.message == "Requested Range Not Satisfiable"
    else:
        assert answer.body == content


def test_uploads_by_form_and_in_chunks(raw: Raw) -> None:
    raw.branch("dev")
    data = os.urandom(100_000) + b"\r\n--b\r\n\n"
    head = b'--bound\r\nContent-Disposition: form-data; name="content"; filename="f"\r\nContent-Type: text/x\r\n\r\n'
    form = {"Content-Type": "multipart/form-data; boundary=bound"}
    told = raw.ask("POST", "/branches/dev/objects", data=head + data + b"\r\n--bound--\r\n", headers=form, path="form")
    assert (told.status, told.json["content_type"]) == (201, "text/x")
    assert raw.ask("GET", "/refs/dev/objects", path="form").body == data
    large = os.urandom(2_500_000)
    blocks = iter([large[:1], large[1:1_000_000], large[1_000_000:]])
    chunks = {"Transfer-Encoding": "chunked"}
    told = raw.ask("POST", "/branches/dev/objects", data=blocks, headers=chunks, chunked=True, path="chunks")
    assert (told.status, told.json["checksum"]) == (201, hashlib.md5(large).hexdigest())
    assert raw.ask("GET", "/refs/dev/objects", path="chunks").body == large


def test_listing_page_by_page(raw: Raw) -> None:
    raw.branch("dev")
    for path in ("a", "b/1", "b/2/x", "b0", "c/1"):
        raw.put("dev", path)

    def listed(**query: Any) -> tuple[list[tuple[str, str]], bool, str]:
        told = raw.ask("GET", "/refs/dev/objects/ls", **query).json
        page = told["pagination"]
        assert (page["max_per_page"], page["results"]) == (1000, len(told["results"]))
        found = [(item["path"], item["path_type"]) for item in told["results"]]
        return found, page["has_more"], page["next_offset"]

    o, p = "object", "common_prefix"
    assert listed(amount=2) == ([("a", o), ("b/1", o)], True, "b/1")
    assert listed(amount=2, delimiter="/") == ([("a", o), ("b/", p)], True, "b/")
    assert listed(amount=2, delimiter="/", after="b/") == ([("b0", o), ("c/", p)], False, "")
    assert listed(delimiter="/", after="b/1")[0] == [("b/", p), ("b0", o), ("c/", p)]
    assert listed(prefix="b/", after="a", amount=1) == ([("b/1", o)], True, "b/1")
    assert "metadata" not in raw.ask("GET", "/refs/dev/objects/ls").json["results"][0]
    for amount in (1001, "x", -2):
        assert raw.ask("GET", "/refs/dev/objects/ls", amount=amount).status == 400


def test_deletes(raw: Raw) -> None:
    raw.branch("dev")
    raw.put("dev", "a")
    assert raw.ask("DELETE", "/branches/dev/objects", path="nope").status == 204
    refused(raw.ask("DELETE", "/branches/nope/objects", path="a"), 404, "branch not found")
    for branch, paths in (("dev", ["nope"]), ("nope", ["a"]), ("dev", ["", "a"])):
        told = raw.ask("POST", f"/branches/{branch}/objects/delete", {"paths": paths})
        assert (told.status, told.json) == (200, {"errors": []})
    assert raw.ask("GET", "/refs/dev/objects/stat", path="a").status == 200
    (error,) = raw.ask("POST", "/branches/dev/objects/delete", {"paths": ["x" * 1025]}).json["errors"]
    assert error["status_code"] == 500 and "1025 is above maximum length (1024)" in error["message"]
    many = raw.ask("POST", "/branches/dev/objects/delete", {"paths": [str(n) for n in range(1001)]})
    refused(many, 400, "request size exceeded, max paths is set to 1000")


def test_commits(raw: Raw) -> None:
    raw.branch("dev")
    first = raw.head("dev")
    refused(raw.commit("dev"), 400, "commit: no changes")
    raw.put("dev", "a", b"1")
    told = raw.commit("dev", metadata={"k": "ü"})
    assert told.status == 201
    made = told.json
    assert (made["message"], made["metadata"], made["parents"]) == ("m", {"k": "ü"}, [first])
    assert made["generation"] == 2 and isinstance(made["creation_date"], int)
    raw.put("dev", "a", b"1")
    assert raw.ask("GET", "/branches/dev/diff").json["results"] == []
    refused(raw.commit("dev"), 400, "commit: no changes")
    assert raw.commit("dev", allow_empty=True).json["generation"] == 3
    told = raw.commit("nope")
    assert told.status == 404 and "not found" in told.message
    assert raw.ask("POST", "/branches/dev/commits", {"metadata": {}}).status == 400


def test_what_is_not_committed(raw: Raw) -> None:
    raw.branch("dev")
    for path in ("a", "b", "c"):
        raw.put("dev", path, b"12")
    raw.commit("dev")
    raw.put("dev", "b", b"123")
    raw.put("dev", "n", b"1")
    raw.ask("DELETE", "/branches/dev/objects", path="a")
    changes = raw.ask("GET", "/branches/dev/diff").json["results"]
    assert [(c["path"], c["type"], c["size_bytes"]) for c in changes] == [
        ("a", "removed", 0),
        ("b", "changed", 3),
        ("n", "added", 1),
    ]
    assert raw.ask("PUT", "/branches/dev", {"type": "object", "path": "n"}).status == 204
    assert raw.ask("PUT", "/branches/dev", {"type": "common_prefix", "path": "a"}).status == 204
    assert [c["path"] for c in raw.ask("GET", "/branches/dev/diff").json["results"]] == ["b"]
    missing = raw.ask("PUT", "/branches/dev", {"type": "object"})
    refused(missing, 400, "argument path: missing path: required value: validation error")
    assert raw.ask("PUT", "/branches/dev", {"type": "reset"}).status == 204
    assert raw.ask("GET", "/branches/dev/diff").json["results"] == []
    refused(raw.ask("GET", "/branches/nope/diff"), 404, "branch not found")


def fork(raw: Raw) -> None:
    """Branches ``s`` and ``d`` which both changed p, from a common q."""
    raw.branch("base")
    for path in ("p", "q"):
        raw.put("base", path, b"0")
    raw.commit("base")
    for branch in ("s", "d"):
        raw.branch(branch, "base")
        raw.put(branch, "p", branch.encode())
        raw.put(branch, "same", b"1")
        raw.commit(branch)


def test_merges(raw: Raw) -> None:
    fork(raw)
    conflict = raw.merge("s", "d")
    assert (conflict.status, conflict.json) == (409, {"reference": ""})
    refused(raw.merge("base", "d"), 400, "update branch d: no changes")
    refused(raw.merge("nope", "d"), 404, "update branch d: get commit by ref nope: not found")
    refused(raw.merge("s", "nope"), 404, "branch not found")
    refused(raw.merge("s", "d", strategy="coin"), 400, f"argument strategy: {INVALID}")
    raw.put("d", "dirty")
    refused(raw.merge("base", "d"), 400, "uncommitted changes (dirty branch)")
    raw.ask("PUT", "/branches/d", {"type": "reset"})
    parents = [raw.head("d"), raw.head("s")]
    merged = raw.merge("s", "d", strategy="source-wins", metadata={"k": "v"})
    assert merged.status == 200
    commit = raw.ask("GET", f"/commits/{merged.json['reference']}").json
    assert (commit["parents"], commit["message"]) == (parents, "Merge 's' into 'd'")
    assert commit["metadata"] == {".lakefs.merge.strategy": "source-wins", "k": "v"}
    refused(raw.merge("s", "d"), 400, "update branch d: no changes")
    base = raw.ask("GET", "/refs/s/merge/d").json
    assert (base["base_commit_id"], base["destination_commit_id"]) == (raw.head("s"), raw.head("s"))
    assert base["source_commit_id"] == raw.head("d")
    refused(raw.ask("GET", "/refs/s/merge/nope"), 404, "get commit by ref nope: not found")


def test_differences(raw: Raw) -> None:
    fork(raw)
    raw.put("s", "staged")

    def differing(left: str, right: str, **query: Any) -> list[tuple[str, str]]:
        return [(c["path"], c["type"]) for c in raw.ask("GET", f"/refs/{left}/diff/{right}", **query).json["results"]]

    assert differing("d", "s") == [("p", "conflict")]
    assert differing("d", "s", type="two_dot") == [("p", "changed")]
    assert differing("d", "s$", type="two_dot") == [("p", "changed"), ("staged", "added")]
    assert differing("base", "s", after="p") == [("same", "added")]
    refused(raw.ask("GET", "/refs/d/diff/nope"), 404, "get commit by ref nope: not found")
    refused(raw.ask("GET", "/refs/nope/diff/d"), 404, "get commit by branch nope: not found")
    refused(raw.ask("GET", "/refs/nope/diff/d", type="two_dot"), 404, "not found")


def test_reverts(raw: Raw) -> None:
    fork(raw)
    undone = raw.head("d")

    def revert(ref: str, parent: int, **more: Any) -> Told:
        return raw.ask("POST", "/branches/d/revert", {"ref": ref, "parent_number": parent, **more})

    merge = raw.merge("s", "d", strategy="source-wins").json["reference"]
    no_parent = "must specify 1-based parent number for reverting merge commit"
    refused(revert(merge, 0), 409, no_parent)
    out_of_range = "given commit does not have the given parent number: parent 3"
    refused(revert(merge, 3), 400, out_of_range)
    refused(revert(merge, -1), 400, f"argument parentNumber: {INVALID}")
    refused(revert("nope", 0), 404, "get commit from ref nope: not found")
    refused(revert(undone, 0), 409, "update branch: conflict found")
    raw.put("d", "dirty")
    refused(revert(merge, 1), 400, "uncommitted changes (dirty branch)")
    raw.ask("PUT", "/branches/d", {"type": "reset"})
    overrides = {"message": "mine", "metadata": {"a": "b"}}
    assert revert(merge, 1, commit_overrides=overrides).status == 204
    made = raw.ask("GET", "/commits/d").json
    assert (made["message"], made["metadata"], made["parents"]) == ("mine", {"a": "b"}, [merge])
    assert raw.ask("GET", "/refs/d/objects", path="p").body == b"d"
    refused(revert(merge, 1), 400, "update branch: no changes")


def test_a_hard_reset_does_not_look_at_what_is_staged(raw: Raw) -> None:
    fork(raw)
    target = raw.head("base")
    raw.put("d", "p", b"d")  # no difference now, one after the reset
    raw.put("d", "staged", b"1")
    raw.ask("DELETE", "/branches/d/objects", path="q")
    refused(raw.ask("PUT", "/branches/d/hard_reset", ref="nope"), 404, "hard-reset d to nope: not found")
    assert raw.ask("PUT", "/branches/d/hard_reset", ref=target).status == 204
    assert raw.head("d") == target
    changes = raw.ask("GET", "/branches/d/diff").json["results"]
    assert [(c["path"], c["type"]) for c in changes] == [("p", "changed"), ("q", "removed"), ("staged", "added")]


def test_the_log(raw: Raw) -> None:
    fork(raw)
    source, dest = raw.head("s"), raw.head("d")
    merge = raw.merge("s", "d", strategy="dest-wins").json["reference"]

    def logged(ref: str, **query: Any) -> list[str]:
        return [commit["id"] for commit in raw.ask("GET", f"/refs/{ref}/commits", **query).json["results"]]

    base, first = logged("base")
    assert set(logged("d")) == {merge, source, dest, base, first}
    assert logged("d", first_parent="true") == [merge, dest, base, first]
    assert logged("d", first_parent="true", after=merge, amount=2) == [dest, base]
    assert logged("d", first_parent="true", stop_at=dest) == [merge, dest]
    assert logged("s", objects=["q"]) == [base]
    limited = raw.ask("GET", "/refs/d/commits", amount=1, limit="true").json
    assert [c["id"] for c in limited["results"]] == [merge] and not limited["pagination"]["has_more"]
    refused(raw.ask("GET", "/refs/d/commits", after="nope"), 404, "from ref: not found")


def test_protected_branches(raw: Raw) -> None:
    head = raw.head("main")
    assert raw.ask("PUT", "/settings/branch_protection", [{"pattern": "main"}]).status == 204
    assert raw.ask("GET", "/settings/branch_protection").json == [{"pattern": "main"}]
    refused(raw.put("main", "a"), 403, "cannot write to protected branch")
    refused(raw.ask("DELETE", "/branches/main/objects", path="a"), 403, "cannot write to protected branch")
    (error,) = raw.ask("POST", "/branches/main/objects/delete", {"paths": ["a"]}).json["errors"]
    assert (error["status_code"], error["message"]) == (403, "cannot write to protected branch")
    refused(raw.commit("main", allow_empty=True), 403, "cannot commit to protected branch")
    refused(raw.ask("PUT", "/branches/main/hard_reset", ref=head), 403, "protected branch")
