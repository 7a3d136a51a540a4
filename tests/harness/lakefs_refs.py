"""Operations of the lakeFS test server on the server itself, repositories, branches and tags."""

import hashlib
import json
import re

from harness.lakefs_api import Answer, Call, operation, page, refuse_unserved
from harness.lakefs_repository import NotServed, Refused, Repository, check_branch_name
from resources.lake import MAIN, AlreadyExists, InvalidName

_REPOSITORY = re.compile(r"[a-z0-9][a-z0-9-]{2,62}")
_STORAGE = {
    "blockstore_description": "",
    "blockstore_id": "",
    "blockstore_namespace_ValidityRegex": "^local://",
    "blockstore_namespace_example": "local://example-bucket/",
    "blockstore_type": "local",
    "default_namespace_prefix": "local://",
    "import_support": False,
    "import_validity_regex": "^local://",
    "pre_sign_multipart_upload": False,
    "pre_sign_support": False,
    "pre_sign_support_ui": False,
}
_TEXT = {"Content-Type": "text/plain; charset=utf-8"}
_VERSION = {"version": "dev", "version_context": "lakeFS"}


@operation("GET", "/healthcheck")
def health_check(call: Call) -> Answer:
    return Answer(204)


@operation("GET", "/config/version")
def version(call: Call) -> Answer:
    return Answer(200, _VERSION)


@operation("GET", "/config/storage")
def storage(call: Call) -> Answer:
    return Answer(200, _STORAGE)


@operation("GET", "/config")
def config(call: Call) -> Answer:
    return Answer(
        200,
        {
            "capabilities_config": {},
            "storage_config": _STORAGE,
            "storage_config_list": [],
            "ui_config": {},
            "version_config": _VERSION,
        },
    )


# repositories


@operation("GET", "/repositories")
def list_repositories(call: Call) -> Answer:
    prefix, after = call.get("prefix"), call.get("after")
    found = (r for r in call.repositories if r.name.startswith(prefix) and r.name > after)
    return page(call, found, lambda repository: repository.name, Repository.description)


@operation("POST", "/repositories")
def create_repository(call: Call) -> Answer:
    body = call.json("name", "storage_namespace")
    refuse_unserved(body, "sample_data", "read_only")
    if body.get("default_branch", MAIN) != MAIN:
        raise NotServed("the default branch of a test repository is main")
    if not _REPOSITORY.fullmatch(body["name"]):
        raise Refused(
            400,
            "request body has an error: doesn't match schema #/components/schemas/RepositoryCreation: "
            'Error at "/name": string doesn\'t match the regular expression "^[a-z0-9][a-z0-9-]{2,62}$"',
        )
    if not body["storage_namespace"].startswith("local://"):
        raise Refused(400, "failed to match required regex ^local://: invalid namespace")
    return Answer(201, call.repositories.create(body["name"], body["storage_namespace"]).description())


@operation("GET", "/repositories/{repository}")
def get_repository(call: Call) -> Answer:
    return Answer(200, call.repository.description())


@operation("DELETE", "/repositories/{repository}")
def delete_repository(call: Call) -> Answer:
    call.repositories.delete(call.repository.name)
    return Answer(204)


@operation("GET", "/repositories/{repository}/settings/branch_protection")
def get_branch_protection(call: Call) -> Answer:
    rules = [{"pattern": pattern} for pattern in call.repository.settings["protected"]]
    return Answer(200, rules, {"ETag": hashlib.sha256(json.dumps(rules).encode()).hexdigest()})


@operation("PUT", "/repositories/{repository}/settings/branch_protection")
def set_branch_protection(call: Call) -> Answer:
    assert isinstance(call.body, bytes)
    patterns = [rule["pattern"] for rule in json.loads(call.body)]
    if MAIN not in patterns:
        raise NotServed("main of a test repository is always protected")
    call.repository.settings["protected"] = patterns
    call.repository.save()
    return Answer(204)


# branches and tags


def _references(call: Call, heads: dict[str, str]) -> Answer:
    after = call.get("after")
    found = (item for item in heads.items() if item[0] > after)
    return page(call, found, lambda item: item[0], lambda item: {"commit_id": item[1], "id": item[0]})


@operation("GET", "/repositories/{repository}/branches")
def list_branches(call: Call) -> Answer:
    return _references(call, call.repository.lake.list_branches(call.get("prefix")))


@operation("POST", "/repositories/{repository}/branches")
def create_branch(call: Call) -> Answer:
    body = call.json("name", "source")
    refuse_unserved(body, "hidden")
    repository, name, source = call.repository, body["name"], body["source"]
    _check_not_empty(name, "branch")
    try:
        check_branch_name(name)
    except Refused as refused:
        explained = "branch id must consist of letters, digits, underscores and dashes, and cannot start with a dash"
        raise Refused(400, f"{refused.message}: {explained}") from None
    _check_no_commit(repository, name)
    if name in repository.lake.list_tags(name):
        raise Refused(409, f"tag ID {name}: conflict found")
    try:
        repository.commit_id(source)
    except Refused as refused:
        raise Refused(refused.status, f"source reference '{source}': {refused.message}") from None
    try:
        return Answer(201, repository.lake.create_branch(name, source).encode(), _TEXT)
    except AlreadyExists:
        raise Refused(409, "branch already exists: not unique") from None


@operation("GET", "/repositories/{repository}/branches/{branch}")
def get_branch(call: Call) -> Answer:
    return Answer(200, {"commit_id": call.repository.branch(call["branch"]), "id": call["branch"]})


@operation("DELETE", "/repositories/{repository}/branches/{branch}")
def delete_branch(call: Call) -> Answer:
    repository, name = call.repository, call["branch"]
    check_branch_name(name, "name")
    if name == MAIN:
        raise Refused(403, "cannot delete repository default branch")
    with repository.lock:
        repository.branch(name)
        repository.lake.delete_branch(name)
        repository.uploaded.pop(name, None)
    return Answer(204)


@operation("GET", "/repositories/{repository}/tags")
def list_tags(call: Call) -> Answer:
    return _references(call, call.repository.lake.list_tags(call.get("prefix")))


@operation("POST", "/repositories/{repository}/tags")
def create_tag(call: Call) -> Answer:
    body = call.json("id", "ref")
    repository, name = call.repository, body["id"]
    _check_not_empty(name, "tagID")
    if name in repository.lake.list_branches(name):
        raise Refused(409, f"branch name {name}: conflict found")
    _check_no_commit(repository, name)
    commit = repository.commit_id(body["ref"])
    try:
        repository.lake.create_tag(name, commit)
    except InvalidName:
        raise Refused(400, "argument tagID: tag id: invalid value: validation error") from None
    except AlreadyExists:
        raise Refused(409, "tag already exists: not unique") from None
    return Answer(201, {"commit_id": commit, "id": name})


@operation("GET", "/repositories/{repository}/tags/{tag}")
def get_tag(call: Call) -> Answer:
    return Answer(200, {"commit_id": _tag(call), "id": call["tag"]})


@operation("DELETE", "/repositories/{repository}/tags/{tag}")
def delete_tag(call: Call) -> Answer:
    with call.repository.lock:
        _tag(call)
        call.repository.lake.delete_tag(call["tag"])
    return Answer(204)


def _tag(call: Call) -> str:
    heads = call.repository.lake.list_tags(call["tag"])
    if call["tag"] not in heads:
        raise Refused(404, "tag not found")
    return heads[call["tag"]]


def _check_not_empty(name: str, argument: str) -> None:
    if not name:
        raise Refused(500, f"argument {argument}: required value: validation error")


def _check_no_commit(repository: Repository, name: str) -> None:
    if not re.fullmatch(r"[0-9a-f]{64}", name):
        return
    try:
        repository.commit_id(name)
    except Refused:
        return
    raise Refused(409, f"commit ID {name}: conflict found")
