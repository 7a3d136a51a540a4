"""Refs: names of commits, which of them never change, and how branches and tags come and go."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from resources.lake.errors import AlreadyExists, Forbidden, InvalidName, RefNotFound
from resources.lake.lakefs.client import PAGE, Client, Connection
from resources.lake.lakefs.failures import Action
from resources.lake.lakefs.metadata import unstamped
from resources.lake.lakefs.recent import Recent
from resources.lake.protocol import MAIN, Commit, check_ref_name

Kind = Literal["branch", "tag"]

_CREATE: dict[Kind, Action] = {"branch": "create branch", "tag": "create tag"}
_DELETE: dict[Kind, Action] = {"branch": "delete branch", "tag": "delete tag"}
_LIST: dict[Kind, Action] = {"branch": "list branches", "tag": "list tags"}

_COMMIT_ID = re.compile(r"[0-9a-f]{64}")
_BRANCH = re.compile(r"\w[-\w]*", re.ASCII)
_REF = re.compile(r"[^\s~^$@:?*\[\\/%]+(@|(?:[~^][0-9]{0,9})*)")
_KNOWN_COMMITS = 20_000


def is_commit_id(ref: str) -> bool:
    """The ref is a whole commit id, so that what it names never changes."""
    return bool(_COMMIT_ID.fullmatch(ref))


def check_ref(ref: str) -> str:
    """``ref`` if it is of a form that every lake knows. Raises RefNotFound."""
    if not isinstance(ref, str) or not _REF.fullmatch(ref):
        raise RefNotFound(f"no branch, tag or commit {ref!r}")
    return ref


def check_branch(name: str) -> str:
    """``name`` if a branch can be called so. Raises RefNotFound."""
    if not isinstance(name, str) or not _BRANCH.fullmatch(name):
        raise RefNotFound(f"no branch {name!r}")
    return name


def check_writable(name: str) -> str:
    """``name`` if a branch of this name may be written to. Raises Forbidden, RefNotFound."""
    if name == MAIN:
        raise Forbidden(f"branch {name} is protected: write to a branch of it, then merge")
    return check_branch(name)


class Refs:
    """Commits, branches and tags of one repository."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._commits: Recent[str, Commit] = Recent(_KNOWN_COMMITS)

    def commit(self, ref: str) -> Commit:
        """The commit of ``ref``. Raises RefNotFound."""
        check_ref(ref)
        known = self._commits.get(ref) if is_commit_id(ref) else None
        if known is not None:
            return known
        return self.known(self.described(ref))

    def described(self, ref: str) -> Any:
        """The commit of ``ref`` in the server's words. Raises RefNotFound."""
        return self._client.call(
            self._client.operation("resolve", ref),
            lambda server: server.commits.get_commit(self._client.repository, ref),
        )

    def known(self, answer: Any) -> Commit:
        """The commit that the server describes, remembered."""
        commit = Commit(
            answer.id,
            answer.message,
            tuple(answer.parents),
            datetime.fromtimestamp(answer.creation_date, UTC),
            unstamped(answer.metadata),
        )
        self._commits.put(commit.id, commit)
        return commit

    def create(self, kind: Kind, name: str, source: str) -> str:
        """A new branch or tag at the commit of ``source``; its id.

        Where the answer is lost, a branch or tag of this name at this commit is taken for the one asked for.
        """
        check_ref_name(name, kind)
        if is_commit_id(name):
            raise InvalidName(f"{kind} name {name!r}: reads as a commit id")
        check_ref(source)
        create = self._branch_creation if kind == "branch" else self._tag_creation
        operation = self._client.operation(_CREATE[kind], f"{name} at {source}")

        def look() -> str | None:
            found = self.heads(kind, name).get(name)
            if found is not None and found != self.commit(source).id:
                raise AlreadyExists(f"{operation}: a {kind} of this name is at commit {found}")
            return found

        return self._client.settle(operation, create(name, source), look, hint=f"list the {kind} {name}")

    def _branch_creation(self, name: str, source: str) -> Callable[[Connection], str]:
        def send(server: Connection) -> str:
            creation = server.sdk.BranchCreation(name=name, source=source)
            return str(server.branches.create_branch(self._client.repository, creation)).strip()

        return send

    def _tag_creation(self, name: str, source: str) -> Callable[[Connection], str]:
        def send(server: Connection) -> str:
            creation = server.sdk.TagCreation(id=name, ref=source)
            return str(server.tags.create_tag(self._client.repository, creation).commit_id)

        return send

    def delete(self, kind: Kind, name: str) -> None:
        """Delete a branch or tag. Raises RefNotFound, Forbidden."""
        check_branch(name)
        operation = self._client.operation(_DELETE[kind], name)

        def send(server: Connection) -> bool:
            if kind == "branch":
                server.branches.delete_branch(self._client.repository, name)
            else:
                server.tags.delete_tag(self._client.repository, name)
            return True

        def look() -> bool | None:
            return None if name in self.heads(kind, name) else True

        self._client.settle(operation, send, look, hint=f"list the {kind} {name}")

    def heads(self, kind: Kind, prefix: str) -> dict[str, str]:
        """Commit id by name, in byte order of the names."""

        def fetch(server: Connection, after: str) -> Any:
            if kind == "branch":
                return server.branches.list_branches(self._client.repository, prefix=prefix, after=after, amount=PAGE)
            return server.tags.list_tags(self._client.repository, prefix=prefix, after=after, amount=PAGE)

        operation = self._client.operation(_LIST[kind], prefix)
        return {ref.id: ref.commit_id for page in self._client.pages(operation, "", fetch) for ref in page}

    def check_exists(self, branch: str) -> None:
        """Raises RefNotFound where the branch is not there."""
        check_branch(branch)
        self._client.call(
            self._client.operation("resolve", branch),
            lambda server: server.branches.get_branch(self._client.repository, branch),
        )

    def is_branch(self, name: str) -> bool:
        """A branch of exactly this name exists."""
        try:
            self.check_exists(name)
        except RefNotFound:
            return False
        return True
