"""Commits: how they are made, undone and compared."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from resources.lake.errors import (
    Contention,
    DirtyBranch,
    MergeConflict,
    NoChanges,
    PreconditionFailed,
    Unsupported,
)
from resources.lake.lakefs.client import PAGE, Client, Connection
from resources.lake.lakefs.failures import Operation
from resources.lake.lakefs.metadata import REQUEST_KEY, stamped
from resources.lake.lakefs.objects import Objects
from resources.lake.lakefs.refs import Refs, check_branch, check_ref, check_writable, is_commit_id
from resources.lake.protocol import Change, Commit, DiffMode, MergeResult, MergeStrategy, check_metadata

_SHOWN = 10
_RECENT = 200
"""Commits looked through for one whose answer was lost."""


class History:
    """Commits of one repository.

    Commit, merge and revert stamp the commit with a request id of their own: where the answer is lost, the branch's
    history tells if the request was carried out.
    """

    def __init__(self, client: Client, refs: Refs, objects: Objects) -> None:
        self._client = client
        self._refs = refs
        self._objects = objects

    def commit(self, branch: str, message: str, metadata: Mapping[str, str] | None, *, allow_empty: bool) -> Commit:
        pairs = check_metadata(metadata)
        check_writable(branch)
        request = secrets.token_hex(16)
        stored = stamped(pairs, request)

        def send(server: Connection) -> str:
            creation = server.sdk.CommitCreation(message=message, metadata=stored, allow_empty=allow_empty)
            return self._refs.known(server.commits.commit(self._client.repository, branch, creation)).id

        # sent twice, an empty commit could be made twice; any other finds nothing staged the second time
        made = self._settled(self._client.operation("commit", branch), branch, request, send, again=not allow_empty)
        return self._refs.commit(made)

    def merge(
        self,
        source: str,
        dest: str,
        message: str,
        metadata: Mapping[str, str] | None,
        *,
        strategy: MergeStrategy | None,
    ) -> MergeResult:
        pairs = check_metadata(metadata)
        if strategy not in (None, "source-wins", "dest-wins"):
            raise Unsupported(f"merge strategy {strategy!r}: must be source-wins, dest-wins or None")
        check_branch(dest)
        check_ref(source)
        request = secrets.token_hex(16)
        stored = stamped(pairs, request)
        operation = self._client.operation("merge", f"{source} into {dest}")

        def sending(*, allow_empty: bool) -> Callable[[Connection], str]:
            def send(server: Connection) -> str:
                merge = server.sdk.Merge(message=message, metadata=stored, strategy=strategy, allow_empty=allow_empty)
                answer = server.refs.merge_into_branch(self._client.repository, source, dest, merge=merge)
                return str(answer.reference)

            return send

        try:
            try:
                made = self._settled(operation, dest, request, sending(allow_empty=False))
            except NoChanges:
                if (merged := self._merged_into(source, dest)) is not None:
                    return merged
                # commits of the source that change nothing: the server wants to be told that they are meant
                made = self._settled(operation, dest, request, sending(allow_empty=True), again=False)
        except DirtyBranch:
            if (merged := self._merged_into(source, dest)) is not None:
                return merged
            raise self._dirty(operation, dest) from None
        except MergeConflict:
            # the server names no paths, so they are looked for: in what source and destination are now
            conflicts = [change.path for change in self.diff(dest, source) if change.type == "conflict"]
            if not conflicts:
                raise Contention(f"{operation}: in conflict with a head that has moved on since") from None
            raise self._in_conflict(operation, conflicts) from None
        return MergeResult(made, already_merged=False)

    def _merged_into(self, source: str, dest: str) -> MergeResult | None:
        """The result for a source all of whose commits ``dest`` has."""
        incoming, head = self._refs.commit(source).id, self._refs.commit(dest).id
        if self.merge_base(incoming, head) != incoming:
            return None
        return MergeResult(head, already_merged=True)

    def revert(self, branch: str, commit: str, *, parent: int) -> Commit:
        check_writable(branch)
        undone = self._refs.commit(commit)
        parents = undone.parents
        if not parents or not 0 <= parent <= len(parents) or (parent == 0 and len(parents) > 1):
            raise PreconditionFailed(
                f"revert of {undone.id} with parent={parent}: it has {len(parents)} parents; "
                + (f"give parent=1 to {len(parents)}" if parents else "the first commit cannot be reverted")
            )
        before = parents[max(parent - 1, 0)]
        operation = self._client.operation("revert", f"{undone.id} on {branch}")
        self._check_reverts_something(operation, branch, undone.id, before)
        request = secrets.token_hex(16)

        def send(server: Connection) -> None:
            overrides = server.sdk.CommitOverrides(message=f"Revert {undone.id}", metadata=stamped({}, request))
            creation = server.sdk.RevertCreation(ref=undone.id, parent_number=parent, commit_overrides=overrides)
            server.branches.revert_branch(self._client.repository, branch, creation)

        try:
            return self._refs.commit(self._settled(operation, branch, request, send))
        except DirtyBranch:
            raise self._dirty(operation, branch) from None
        except MergeConflict:
            raise self._in_conflict(operation, self._revert_conflicts(undone.id, before, branch)) from None

    def _check_reverts_something(self, operation: Operation, branch: str, undone: str, before: str) -> None:
        """Raises NoChanges where the branch is as before the commit already: the server would commit that."""
        changed = {change.path for change in self.diff(before, undone, mode="two_dot")}
        head = self._refs.commit(f"{branch}@").id
        if any(change.path in changed for change in self.diff(before, head, mode="two_dot")):
            return
        if next(self._objects.uncommitted(branch, ""), None) is not None:
            raise self._dirty(operation, branch)
        raise NoChanges(f"{operation}: changes nothing")

    def _revert_conflicts(self, undone: str, before: str, branch: str) -> list[str]:
        """Paths which the commit changed and which the branch has changed to something else since."""
        head = self._refs.commit(f"{branch}@").id
        pairs = ((undone, before), (undone, head), (before, head))
        sides = [{change.path for change in self.diff(a, b, mode="two_dot")} for a, b in pairs]
        return sorted(set.intersection(*sides), key=str.encode)

    def rollback(self, branch: str, to: str) -> str:
        check_writable(branch)
        commit_id = self._refs.commit(to).id
        operation = self._client.operation("rollback", f"{branch} to {commit_id}")
        # the server would not look; and what is staged without a difference would become one when the head moves
        if next(self._objects.uncommitted(branch, ""), None) is not None:
            raise self._dirty(operation, branch)
        self._objects.discard(branch, None, None)
        self._client.call(
            operation,
            lambda server: server.experimental.hard_reset_branch(self._client.repository, branch, commit_id),
        )
        return commit_id

    def merge_base(self, a: str, b: str) -> str:
        check_ref(a)
        check_ref(b)
        answer = self._client.call(
            self._client.operation("merge base", f"{a} and {b}"),
            lambda server: server.refs.find_merge_base(self._client.repository, a, b),
        )
        return str(answer.base_commit_id)

    def diff(self, left: str, right: str, *, mode: DiffMode = "three_dot", prefix: str = "") -> Iterator[Change]:
        if mode not in ("two_dot", "three_dot"):
            raise Unsupported(f"diff mode {mode!r}: must be two_dot or three_dot")
        check_ref(left)
        check_ref(right)
        operation = self._client.operation("diff", f"{left} and {right}")
        if mode == "two_dot" and not is_commit_id(right) and self._refs.is_branch(right):
            right = f"{right}$"  # the server's name for a branch with what is staged on it

        def fetch(server: Connection, after: str) -> Any:
            return server.refs.diff_refs(
                self._client.repository, left, right, type=mode, prefix=prefix, after=after, amount=PAGE
            )

        pages = self._client.pages(operation, "", fetch)
        return (Change(change.path, change.type) for page in pages for change in page)

    def _settled(
        self,
        operation: Operation,
        branch: str,
        request: str,
        send: Callable[[Connection], str | None],
        *,
        again: bool = True,
    ) -> str:
        """Id of the commit that ``send`` made on ``branch``, by its answer or by the branch's history."""
        return self._client.settle(
            operation,
            send,
            lambda: self._made_by(request, branch),
            hint=f"look for {REQUEST_KEY}={request} in the commits of {branch}",
            again=again,
        )

    def _made_by(self, request: str, branch: str) -> str | None:
        page = self._client.call(
            self._client.operation("log", branch),
            lambda server: server.refs.log_commits(
                self._client.repository, branch, amount=_RECENT, limit=True, first_parent=True
            ),
        )
        return next((commit.id for commit in page.results if (commit.metadata or {}).get(REQUEST_KEY) == request), None)

    def _dirty(self, operation: Operation, branch: str) -> DirtyBranch:
        paths = [change.path for change in islice(self._objects.uncommitted(branch, ""), _SHOWN)]
        return DirtyBranch(f"{operation}: uncommitted changes of {', '.join(paths)}; commit or discard them first")

    @staticmethod
    def _in_conflict(operation: Operation, paths: list[str]) -> MergeConflict:
        more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
        return MergeConflict(
            f"{operation}: both sides changed {', '.join(paths[:_SHOWN])}{more}; rebuild the source on the "
            "destination's head, or merge by strategy source-wins or dest-wins",
            paths=paths,
        )
