"""Operations of the lakeFS test server on objects."""

import re
from pathlib import Path
from typing import Any

from harness.lakefs_api import Answer, Call, operation, page, refuse_unserved
from harness.lakefs_repository import CONTENT_TYPE, Refused, Repository, check_branch_name, md5
from resources.lake import ObjectInfo, ObjectNotFound, PreconditionFailed, Prefix, RefNotFound

_MAX_PATH = 1024
_MAX_DELETES = 1000
_METADATA = "x-lakefs-meta-"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_RANGES = re.compile(r"bytes=((\d*-\d*,? ?)+)")
_OBJECTS = "/repositories/{repository}/branches/{branch}/objects"


@operation("POST", _OBJECTS)
def upload(call: Call) -> Answer:
    path, repository, branch = call.required("path"), call.repository, call["branch"]
    refuse_unserved(dict(call.query), "force", "storageClass")
    check_branch_name(branch, "name")
    if branch not in repository.lake.list_branches(branch):
        raise Refused(404, f"branch '{branch}' not found")
    new = call.headers.get("If-None-Match") == "*"
    if not new and (call.headers.get("If-None-Match") is not None or call.headers.get("If-Match") is not None):
        raise Refused(501, "Not Implemented")
    content_type = call.headers.get("Content-Type") or CONTENT_TYPE
    data: bytes | Path = call.body
    if content_type.startswith("multipart/form-data"):
        content_type, data = _content_part(call.body, content_type)
    _check_writable(repository, branch)
    _check_length(path)
    metadata = {
        name.lower().removeprefix(_METADATA): _utf8(value)
        for name, value in reversed(list(call.headers.items()))  # of a name given twice, the first counts
        if name.lower().startswith(_METADATA)
    }
    try:
        info = repository.put(branch, path, data, content_type, metadata, new=new)
    except PreconditionFailed:
        raise Refused(412, "path already exists") from None
    except RefNotFound:
        raise Refused(404, "branch not found") from None
    return Answer(201, repository.object_record(info))


def _content_part(body: bytes | Path, content_type: str) -> tuple[str, bytes]:
    """Content type and bytes of the part called ``content``."""
    data = body if isinstance(body, bytes) else body.read_bytes()
    boundary = re.search(r'boundary="?([^";]+)"?', content_type)
    if boundary is None:
        raise Refused(500, "no multipart boundary param in Content-Type")
    for part in (b"\r\n" + data).split(b"\r\n--" + boundary[1].encode())[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        if re.search(rb'(?i)content-disposition:[^\r]*\bname="content"', head):
            kind = re.search(rb"(?i)content-type:[ \t]*([^\r]*)", head)
            return kind[1].decode() if kind else "", content
    raise Refused(500, "multipart upload missing key 'content': http: no such file")


def _utf8(header: str) -> str:
    """A header's value as the server reads it: the bytes as they came."""
    return header.encode("latin-1").decode("utf-8", "replace")


@operation("GET", "/repositories/{repository}/refs/{ref}/objects")
def get(call: Call) -> Answer:
    refuse_unserved(dict(call.query), "presign")
    if (asked := call.headers.get("Range")) is not None and not _RANGES.fullmatch(asked):
        raise Refused(400, 'parameter "Range" in header has an error: string doesn\'t match the regular expression')
    ref, info = _found(call)
    etag = f'"{md5(info)}"'
    if call.headers.get("If-None-Match") == etag:
        return Answer(304)
    record = call.repository.object_record(info)
    headers = {
        "Cache-Control": "no-store, must-revalidate",
        "Content-Disposition": "attachment",
        "Content-Security-Policy": "default-src 'none'",
        "Content-Type": record["content_type"],
        "ETag": etag,
        "Expires": "0",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN",
        "Last-Modified": info.modified.strftime("%a, %d %b %Y %H:%M:%S GMT"),
    }
    file = call.repository.lake.local_path(ref, info.path)
    if asked is None:
        return Answer(200, file, headers, (0, info.size))
    part = _part(asked, info.size)
    if part is None:
        refused = {**headers, "Content-Type": "application/json"}
        if _is_out_of_range(asked, info.size):
            refused["Content-Range"] = f"bytes */{info.size}"
        return Answer(416, {"message": "Requested Range Not Satisfiable"}, refused)
    start, stop = part
    return Answer(206, file, {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{info.size}"}, part)


def _part(asked: str, size: int) -> tuple[int, int] | None:
    """Start and stop of a Range header, None where it cannot be satisfied."""
    match = _RANGE.fullmatch(asked)
    if match is None or match.groups() == ("", "") or _is_out_of_range(asked, size):
        return None
    if not match[1]:
        return max(size - int(match[2]), 0), size
    start, stop = int(match[1]), int(match[2]) + 1 if match[2] else size
    return (start, min(stop, size)) if start < stop else None


def _is_out_of_range(asked: str, size: int) -> bool:
    """Well formed, but nothing of it is in the object."""
    match = _RANGE.fullmatch(asked)
    if match is None or match.groups() == ("", ""):
        return False
    if not match[1]:
        return int(match[2]) == 0
    return (not match[2] or int(match[1]) <= int(match[2])) and int(match[1]) >= size


@operation("GET", "/repositories/{repository}/refs/{ref}/objects/stat")
def stat(call: Call) -> Answer:
    refuse_unserved(dict(call.query), "presign")
    record = call.repository.object_record(_found(call)[1])
    if not call.flag("user_metadata", default=True):
        record["metadata"] = {}
    return Answer(200, record)


def _found(call: Call) -> tuple[str, ObjectInfo]:
    path, repository, ref = call.required("path"), call.repository, call["ref"]
    _check_length(path)
    repository.commit_id(ref)
    try:
        return ref, repository.lake.stat(ref, path)
    except (ObjectNotFound, RefNotFound):
        raise Refused(404, "not found") from None


@operation("GET", "/repositories/{repository}/refs/{ref}/objects/ls")
def list_objects(call: Call) -> Answer:
    refuse_unserved(dict(call.query), "presign")
    repository, ref = call.repository, call["ref"]
    repository.commit_id(ref)
    with_metadata = call.flag("user_metadata", default=True)

    def record(item: ObjectInfo | Prefix) -> dict[str, Any]:
        if isinstance(item, Prefix):
            return {
                "checksum": "",
                "mtime": 0,
                "path": item.path,
                "path_type": "common_prefix",
                "physical_address": "",
            }
        described = repository.object_record(item, metadata=with_metadata)
        return {key: value for key, value in described.items() if key != "metadata" or value}

    found = repository.lake.list(
        ref, call.get("prefix"), after=call.get("after"), delimiter=call.get("delimiter") or None
    )
    return page(call, found, lambda item: item.path, record)


@operation("DELETE", _OBJECTS)
def delete(call: Call) -> Answer:
    path, repository, branch = call.required("path"), call.repository, call["branch"]
    check_branch_name(branch)
    _check_length(path)
    _check_writable(repository, branch)
    repository.branch(branch)
    repository.lake.delete(branch, path)
    return Answer(204)


@operation("POST", _OBJECTS + "/delete")
def delete_many(call: Call) -> Answer:
    """Errors are in the body of a success, and a branch that is not there is none."""
    paths, repository, branch = call.json("paths")["paths"], call.repository, call["branch"]
    if len(paths) > _MAX_DELETES:
        raise Refused(400, f"request size exceeded, max paths is set to {_MAX_DELETES}")
    errors: list[dict[str, Any]] = []
    try:
        check_branch_name(branch)
        for path in paths:
            if not path:
                return Answer(200, {"errors": []})  # the real server then deletes none of the others either
            _check_length(path)
        _check_writable(repository, branch)
        repository.lake.delete(branch, paths)
    except RefNotFound:
        return Answer(200, {"errors": []})
    except Refused as refused:
        status = 403 if refused.status == 403 else 500
        errors = [{"message": refused.message, "path": path, "status_code": status} for path in paths]
    return Answer(200, {"errors": errors})


@operation("PUT", _OBJECTS + "/stat/user_metadata")
def update_user_metadata(call: Call) -> Answer:
    path, repository, branch = call.required("path"), call.repository, call["branch"]
    pairs = call.json("set")["set"]
    _check_writable(repository, branch)
    repository.branch(branch)
    try:
        repository.put_again(branch, branch, path, pairs)
    except ObjectNotFound:
        raise Refused(404, f"update user metadata on {repository.name}/{branch}/{path}: not found") from None
    return Answer(204)


def _check_length(path: str) -> None:
    size = len(path.encode())
    if size > _MAX_PATH:
        raise Refused(
            400, f"argument path: invalid value: validation error: {size} is above maximum length ({_MAX_PATH})"
        )


def _check_writable(repository: Repository, branch: str) -> None:
    if repository.is_protected(branch):
        raise Refused(403, "cannot write to protected branch")
