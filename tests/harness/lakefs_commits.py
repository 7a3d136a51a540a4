"""Operations of the lakeFS test server on commits: log, commit, diff, merge, revert, reset."""

import heapq
from collections.abc import Iterable, Iterator
from itertools import dropwhile, islice
from secrets import token_hex
from typing import Any

from harness.lakefs_api import Answer, Call, amount, operation, page, refuse_unserved
from harness.lakefs_repository import NotServed, Refused, Repository, check_branch_name, md5, user_metadata
from resources.lake import Change, Commit, MergeConflict, NoChanges, ObjectInfo, ObjectNotFound

_DIRTY = "uncommitted changes (dirty branch)"
_STRATEGY = ".lakefs.merge.strategy"
_BRANCH = "/repositories/{repository}/branches/{branch}"


# commits and the log


@operation("GET", "/repositories/{repository}/commits/{commitId}")
def get_commit(call: Call) -> Answer:
    """Any ref is served; what the server refuses with 400 elsewhere is 500 here."""
    repository = call.repository
    try:
        commit = repository.commit_id(call["commitId"])
    except Refused as refused:
        if refused.status == 404 or " " in call["commitId"]:
            raise Refused(404, "commit not found") from None
        raise Refused(500, refused.message) from None
    return Answer(200, repository.commit_record(repository.lake.get_commit(commit)))


@operation("GET", "/repositories/{repository}/refs/{ref}/commits")
def log(call: Call) -> Answer:
    refuse_unserved(dict(call.query), "prefixes", "since")
    repository, wanted = call.repository, amount(call)
    head = _side(repository, call["ref"], "ref:")
    commits = _newest_first(repository, head, first_parent=call.flag("first_parent"))
    if call.get("after"):
        after = _side(repository, call.get("after"), "from ref:")
        commits = islice(dropwhile(lambda commit: commit.id != after, commits), 1, None)
    if call.get("stop_at"):
        commits = _through(commits, _side(repository, call.get("stop_at"), "stop_at:"))
    if objects := [value for key, value in call.query if key == "objects"]:
        commits = (commit for commit in commits if _changed_one_of(repository, commit, objects))
    if call.flag("limit"):
        commits = islice(commits, wanted)
    return page(call, commits, lambda commit: commit.id, repository.commit_record)


def _newest_first(repository: Repository, head: str, *, first_parent: bool) -> Iterator[Commit]:
    """By the second of the commits, then by their ids: so a parent may come before a child of the same second."""

    def keyed(commit_id: str) -> tuple[int, int, Commit]:
        commit = repository.lake.get_commit(commit_id)
        return -int(commit.created.timestamp()), -int(commit.id, 16), commit

    queue, met = [keyed(head)], {head}
    while queue:
        commit = heapq.heappop(queue)[2]
        yield commit
        for parent in commit.parents[:1] if first_parent else commit.parents:
            if parent not in met:
                met.add(parent)
                heapq.heappush(queue, keyed(parent))


def _through(commits: Iterable[Commit], last: str) -> Iterator[Commit]:
    for commit in commits:
        yield commit
        if commit.id == last:
            return


def _changed_one_of(repository: Repository, commit: Commit, paths: list[str]) -> bool:
    """Merges are never looked at."""
    if len(commit.parents) != 1:
        return False
    return any(
        change.path == path
        for path in paths
        for change in repository.lake.diff(commit.parents[0], commit.id, mode="two_dot", prefix=path)
    )


@operation("POST", _BRANCH + "/commits")
def commit(call: Call) -> Answer:
    body = call.json("message")
    refuse_unserved({**body, **dict(call.query)}, "date", "source_metarange", "force")
    repository, branch = call.repository, call["branch"]
    check_branch_name(branch)
    if repository.is_protected(branch):
        raise Refused(403, "cannot commit to protected branch")
    if branch not in repository.lake.list_branches(branch):
        aborted = "prepare-commit hook aborted, run id '4opk5fpksdufs8m7e8bg': list actions from commit"
        raise Refused(404, f"{aborted}: listing actions: not found")
    with repository.lock:
        try:
            made = repository.lake.commit(
                branch, body["message"], body.get("metadata"), allow_empty=bool(body.get("allow_empty"))
            )
        except NoChanges:
            raise Refused(400, "commit: no changes") from None
        repository.uploaded.pop(branch, None)
    return Answer(201, repository.commit_record(made))


# differences


@operation("GET", _BRANCH + "/diff")
def diff_branch(call: Call) -> Answer:
    refuse_unserved(dict(call.query), "delimiter")
    repository, branch, after = call.repository, call["branch"], call.get("after")
    repository.branch(branch)
    found = (c for c in repository.lake.uncommitted(branch, call.get("prefix")) if c.path > after)

    def record(change: Change) -> dict[str, Any]:
        size = 0 if change.type == "removed" else repository.lake.stat(branch, change.path).size
        return {"path": change.path, "path_type": "object", "size_bytes": size, "type": change.type}

    return page(call, found, lambda change: change.path, record)


@operation("GET", "/repositories/{repository}/refs/{leftRef}/diff/{rightRef}")
def diff_refs(call: Call) -> Answer:
    """A plain branch means its head; only ``branch$`` on the right of a two-dot diff shows what is staged."""
    refuse_unserved(dict(call.query), "delimiter")
    mode = call.get("type") or "three_dot"
    if mode not in ("two_dot", "three_dot"):
        raise Refused(
            400,
            'parameter "type" in query has an error: value is not one of the allowed values ["two_dot","three_dot"]',
        )
    repository, prefix, after = call.repository, call.get("prefix"), call.get("after")
    if mode == "three_dot":
        right = _side(repository, call["rightRef"], f"get commit by ref {call['rightRef']}:", "right")
        left = _side(repository, call["leftRef"], f"get commit by branch {call['leftRef']}:", "left")
        differing = {change.path for change in repository.lake.diff(left, right, mode="two_dot", prefix=prefix)}
        changes = (c for c in repository.lake.diff(left, right, prefix=prefix) if c.path in differing)
    else:
        left = repository.commit_id(call["leftRef"], "left")
        right = call["rightRef"]
        if right.endswith("$"):
            right = right[:-1]
            repository.branch(right)
        else:
            right = repository.commit_id(right, "right")
        changes = iter(list(repository.lake.diff(left, right, mode="two_dot", prefix=prefix)))
    with_stats = call.flag("include_right_stats")

    def record(change: Change) -> dict[str, Any]:
        info = _entry(repository, right, change.path) or repository.lake.stat(left, change.path)
        described = {"path": change.path, "path_type": "object", "size_bytes": info.size, "type": change.type}
        if with_stats:
            stats = repository.object_record(info)
            described["right"] = {key: stats[key] for key in ("checksum", "content_type", "metadata", "mtime")}
        return described

    return page(call, (c for c in changes if c.path > after), lambda change: change.path, record)


def _side(repository: Repository, ref: str, role: str, argument: str = "ref") -> str:
    try:
        return repository.commit_id(ref, argument)
    except Refused as refused:
        if refused.message.startswith("argument"):
            raise
        raise Refused(refused.status, f"{role} {refused.message}") from None


def _entry(repository: Repository, ref: str, path: str) -> ObjectInfo | None:
    try:
        return repository.lake.stat(ref, path)
    except ObjectNotFound:
        return None


# merge


@operation("POST", "/repositories/{repository}/refs/{sourceRef}/merge/{destinationBranch}")
def merge(call: Call) -> Answer:
    """A conflict is answered without its paths, a merge that changes nothing with 400."""
    body = call.json() if call.body else {}
    refuse_unserved(body, "squash_merge", "force")
    repository, source, dest = call.repository, call["sourceRef"], call["destinationBranch"]
    strategy = body.get("strategy") or None
    check_branch_name(dest, "destination")
    if strategy not in (None, "source-wins", "dest-wins"):
        raise Refused(400, "argument strategy: invalid value: validation error")
    with repository.lock:
        _check_clean(repository, dest)
        incoming = _side(repository, source, f"update branch {dest}: get commit by ref {source}:", "source")
        base = repository.lake.merge_base(dest, incoming)
        is_same = not any(True for _ in repository.lake.diff(base, incoming, mode="two_dot"))
        if is_same and not body.get("allow_empty"):
            raise Refused(400, f"update branch {dest}: no changes")
        metadata = {**body.get("metadata", {}), _STRATEGY: strategy or "default"}
        message = body.get("message") or f"Merge '{source}' into '{dest}'"
        try:
            merged = repository.lake.merge(incoming, dest, message, metadata, strategy=strategy)
        except MergeConflict:
            return Answer(409, {"reference": ""})
        repository.uploaded.pop(dest, None)
    if merged.already_merged:
        raise NotServed("the test server makes no merge commit of what was merged before, also not with allow_empty")
    return Answer(200, {"reference": merged.commit_id})


@operation("GET", "/repositories/{repository}/refs/{sourceRef}/merge/{destinationBranch}")
def merge_base(call: Call) -> Answer:
    """The server calls the commits of the two sides by each other's names."""
    repository = call.repository
    source_ref, dest_ref = call["sourceRef"], call["destinationBranch"]
    source = _side(repository, source_ref, f"get commit by branch {source_ref}:", "source")
    dest = _side(repository, dest_ref, f"get commit by ref {dest_ref}:", "destination")
    return Answer(
        200,
        {
            "base_commit_id": repository.lake.merge_base(source, dest),
            "destination_commit_id": source,
            "source_commit_id": dest,
        },
    )


def _check_clean(repository: Repository, branch: str) -> None:
    repository.branch(branch)
    if any(True for _ in repository.lake.uncommitted(branch)):
        raise Refused(400, _DIRTY)


# revert and reset


@operation("POST", _BRANCH + "/revert")
def revert(call: Call) -> Answer:
    body = call.json("ref", "parent_number")
    refuse_unserved(body, "force")
    repository, branch, number = call.repository, call["branch"], body["parent_number"]
    check_branch_name(branch)
    if number < 0:
        raise Refused(400, "argument parentNumber: invalid value: validation error")
    undone = repository.lake.get_commit(_side(repository, body["ref"], f"get commit from ref {body['ref']}:"))
    if len(undone.parents) > 1 and not number:
        raise Refused(409, "must specify 1-based parent number for reverting merge commit")
    if number > len(undone.parents):
        raise Refused(400, f"given commit does not have the given parent number: parent {number}")
    overrides = body.get("commit_overrides") or {}
    message = overrides.get("message") or f"Revert {body['ref']}"
    with repository.lock:
        _check_clean(repository, branch)
        edits = _opposite(repository, undone, undone.parents[max(number - 1, 0)], branch) if undone.parents else {}
        if not edits and not body.get("allow_empty"):
            raise Refused(400, "update branch: no changes")
        aside = f"revert-{token_hex(8)}"
        repository.lake.create_branch(aside, f"{branch}@")
        try:
            for path, ref in edits.items():
                if ref is None:
                    repository.lake.delete(aside, path)
                else:
                    repository.put_again(aside, ref, path)
            made = repository.lake.commit(aside, message, overrides.get("metadata"), allow_empty=True)
            repository.lake.rollback(branch, made.id)
        finally:
            repository.lake.delete_branch(aside)
            repository.uploaded.pop(aside, None)
        repository.uploaded.pop(branch, None)
    return Answer(204)


def _opposite(repository: Repository, undone: Commit, before: str, branch: str) -> dict[str, str | None]:
    """By path the commit to take it from, None where it goes. Refuses where the branch changed it since."""
    edits: dict[str, str | None] = {}
    for change in repository.lake.diff(undone.id, before, mode="two_dot"):
        now = _identity(repository, f"{branch}@", change.path)
        target = _identity(repository, before, change.path)
        if now == target:
            continue
        if now != _identity(repository, undone.id, change.path):
            raise Refused(409, "update branch: conflict found")
        edits[change.path] = None if target is None else before
    return edits


def _identity(repository: Repository, ref: str, path: str) -> tuple[Any, ...] | None:
    info = _entry(repository, ref, path)
    return None if info is None else (md5(info), info.size, user_metadata(info))


@operation("PUT", _BRANCH)
def reset(call: Call) -> Answer:
    body = call.json("type")
    refuse_unserved(body, "force")
    repository, branch, kind, path = call.repository, call["branch"], body["type"], body.get("path") or ""
    if kind not in ("object", "common_prefix", "reset"):
        raise Refused(
            400,
            "request body has an error: doesn't match schema #/components/schemas/ResetCreation: "
            'Error at "/type": value is not one of the allowed values ["object","common_prefix","reset"]',
        )
    check_branch_name(branch)
    if kind == "object" and not path:
        raise Refused(400, "argument path: missing path: required value: validation error")
    if repository.is_protected(branch):
        raise Refused(403, "cannot write to protected branch")
    repository.branch(branch)
    uploaded = repository.uploaded.get(branch, set())
    if kind == "object":
        repository.lake.discard(branch, path=path)
        uploaded.discard(path)
    else:
        prefix = path if kind == "common_prefix" else ""
        repository.lake.discard(branch, prefix=prefix)
        uploaded -= {each for each in uploaded if each.startswith(prefix)}
    return Answer(204)


@operation("PUT", _BRANCH + "/hard_reset")
def hard_reset(call: Call) -> Answer:
    """The head moves; what is staged stays, on top of the new head."""
    ref, repository, branch = call.required("ref"), call.repository, call["branch"]
    refuse_unserved(dict(call.query), "force")
    check_branch_name(branch)
    if repository.is_protected(branch):
        raise Refused(403, "protected branch")
    with repository.lock:
        repository.branch(branch)
        target = _side(repository, ref, f"hard-reset {branch} to {ref}:")
        removed = [c.path for c in repository.lake.uncommitted(branch) if c.type == "removed"]
        uploaded = repository.uploaded.get(branch, set())
        staged = [path for path in uploaded if _entry(repository, branch, path) is not None]
        aside = f"staged-{token_hex(8)}"
        repository.lake.create_branch(aside, f"{branch}@")
        try:
            for path in staged:
                repository.put_again(aside, branch, path)
            repository.lake.discard(branch)
            repository.lake.rollback(branch, target)
            repository.lake.delete(branch, removed)
            for path in staged:
                repository.put_again(branch, aside, path)
        finally:
            repository.lake.delete_branch(aside)
            repository.uploaded.pop(aside, None)
    return Answer(204)
