"""A commit as plain files: all of it, or a prefix, with a manifest that is written last."""

import hashlib
import json
import os
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

from resources.lake.errors import AlreadyExists, CorruptObject, InvalidName
from resources.lake.finding import find_commit
from resources.lake.protocol import Lake, ObjectInfo
from resources.lake.upkeep import content_matches, is_verifiable

MANIFEST: Final = "manifest.json"
_OWN: Final = ".export-"
_UNDER_WAY: Final = f"{_OWN}under-way.json"
_TEMPORARY: Final = f"{_OWN}{{}}.part"
_LONGEST_NAME: Final = 255  # bytes of one part of a path, of the usual file systems


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export did: ``files`` in all, of them ``written`` now, the others were there from an attempt before."""

    commit_id: str
    files: int
    written: int
    bytes: int
    removed: int


def export(
    lake: Lake,
    ref: str,
    folder: Path,
    *,
    prefix: str = "",
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ExportReport:
    """Write what is at ``ref`` below ``prefix`` into ``folder``, each object at its path.

    Each file comes into place complete, its checksum verified. ``manifest.json`` (commit, prefix, path, size and SHA-256 of
    each file) is written last: a folder without it holds an export that was cut off, and the same call completes it.

    Args:
        lake: the lake.
        ref: a branch (its committed head), tag or commit.
        folder: made where absent; must be empty, or hold a cut-off export of the same commit and prefix.
        prefix: only objects below it.
        overwrite: write into any folder. Files of an earlier export that this one does not have are removed; files of
            others stay.
        progress: called after each file with the files done and their number.

    Raises:
        AlreadyExists: the folder holds something else.
        InvalidName: an object's path would lead out of the folder, or cannot be a file beside the others.
        CorruptObject, Gone: an object is damaged or missing; no manifest is written.
        RefNotFound.
    """
    commit_id = find_commit(lake, ref).id
    objects = [item for item in lake.list(commit_id, prefix) if isinstance(item, ObjectInfo)]
    paths = {item.path for item in objects}
    _check_paths(paths)
    plan = _Plan(commit_id, prefix, tuple(sorted(paths)), ())
    held = _read(folder / _UNDER_WAY)
    finished = _read(folder / MANIFEST)
    if not overwrite:
        _check_folder(folder, plan, held, finished)
    earlier = {path for one in (held, finished) if one is not None for path in (*one.files, *one.stale)}
    plan = replace(plan, stale=tuple(sorted(earlier - paths)))
    _check_paths(plan.stale)
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder, _UNDER_WAY, asdict(plan))
    (folder / MANIFEST).unlink(missing_ok=True)
    written, entries = 0, []
    for number, item in enumerate(objects, start=1):
        digest, new = _export_object(lake, commit_id, item, folder)
        written += new
        entries.append({"path": item.path, "size": item.size, "sha256": digest})
        progress(number, len(objects))
    removed = sum(_remove(folder, path) for path in plan.stale)
    for leftover in folder.glob(_TEMPORARY.format("*")):
        leftover.unlink(missing_ok=True)
    os.sync()  # the manifest must not outlive a loss of power that its files do not
    _write_json(folder, MANIFEST, {"commit": commit_id, "prefix": prefix, "files": entries})
    (folder / _UNDER_WAY).unlink()
    return ExportReport(commit_id, len(objects), written, sum(item.size for item in objects), removed)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What an export is to bring, as the folder says it: ``stale`` are files of an export before it, to be removed."""

    commit: str
    prefix: str
    files: tuple[str, ...]
    stale: tuple[str, ...]


def _check_folder(folder: Path, plan: _Plan, held: _Plan | None, finished: _Plan | None) -> None:
    """Raises AlreadyExists where the folder holds anything but a cut-off export of the same content."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    if held is not None and (held.commit, held.prefix) == (plan.commit, plan.prefix):
        return
    if held is not None:
        holds = f"holds a cut-off export of commit {held.commit[:16]}"
    elif finished is not None:
        holds = f"holds an export of commit {finished.commit[:16]}"
    else:
        holds = f"is not empty: {min(path.name for path in folder.iterdir())} is in it"
    raise AlreadyExists(f"{folder} {holds}. Choose another folder, or overwrite it with --overwrite")


def _check_paths(paths: Collection[str]) -> None:
    for path in paths:
        parts = path.split("/")
        if not {"", ".", ".."}.isdisjoint(parts) or "\0" in path:
            problem = "would not lie in the folder under its own name: absolute, '.', '..', or an empty part"
        elif max(len(part.encode()) for part in parts) > _LONGEST_NAME:
            problem = f"has a part longer than {_LONGEST_NAME} bytes"
        elif path == MANIFEST or path.startswith(_OWN):
            problem = "is the name of one of the export's own files"
        elif above := next((str(above) for above in PurePosixPath(path).parents if str(above) in paths), None):
            problem = f"lies below the object {above!r}, which cannot be a file and a folder"
        else:
            continue
        raise InvalidName(f"object {path!r} cannot be exported: its path {problem}. Nothing was written")


def _export_object(lake: Lake, commit_id: str, item: ObjectInfo, folder: Path) -> tuple[str, bool]:
    """SHA-256 of the object, and whether it had to be written."""
    target = _inside(folder, item.path)
    if target.is_file() and not target.is_symlink() and target.stat().st_size == item.size:
        there = target.read_bytes()
        if is_verifiable(item.checksum) and content_matches(there, item.checksum):
            return hashlib.sha256(there).hexdigest(), False
    data = lake.get(commit_id, item.path)
    if len(data) != item.size or not content_matches(data, item.checksum):
        raise CorruptObject(f"object {item.path!r} at {commit_id[:16]} does not match its checksum {item.checksum}")
    target.parent.mkdir(parents=True, exist_ok=True)
    _write(folder, target, data)
    return hashlib.sha256(data).hexdigest(), True


def _inside(folder: Path, path: str) -> Path:
    """Where the object goes. Raises InvalidName where a symbolic link leads out of the folder."""
    target = folder / path
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise InvalidName(f"object {path!r} cannot be exported: {target.parent} leads out of {folder}")
    return target


def _remove(folder: Path, path: str) -> bool:
    target = _inside(folder, path)
    if not target.is_file():
        return False
    target.unlink()
    for above in target.relative_to(folder).parents:
        if str(above) == "." or any((folder / above).iterdir()):
            break
        (folder / above).rmdir()
    return True


def _write(folder: Path, target: Path, data: bytes) -> None:
    temporary = folder / _TEMPORARY.format(os.getpid())
    temporary.write_bytes(data)
    temporary.replace(target)


def _write_json(folder: Path, name: str, content: dict[str, Any]) -> None:
    _write(folder, folder / name, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def _read(file: Path) -> _Plan | None:
    """What an export wrote of itself; None where there is nothing, or something else of this name."""
    try:
        content = json.loads(file.read_bytes())
        files = [entry if isinstance(entry, str) else entry["path"] for entry in content["files"]]
        return _Plan(content["commit"], content["prefix"], tuple(files), tuple(content.get("stale", ())))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return None
