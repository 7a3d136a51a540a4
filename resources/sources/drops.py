"""A vendor's package with later deliveries beside it, and which of them have arrived whole."""

import re
from pathlib import Path

from resources.sources.dataset_label import DATASET_FILE
from resources.sources.errors import SourceError
from resources.sources.layout import SUFFIXES, BarFile, Listing, few, require_files, require_folder, visible

DROPS = "drops"
SUMS = "SHA256SUMS"
_PARTIAL = re.compile(r"\.?(?P<name>[^.].*\.(parquet|csv))\.(partial|part|tmp|filepart|\w{6})")
_SUM = re.compile(r"(?P<digest>[0-9a-fA-F]{64}) [ *](\./)?(?P<name>.+)")
_LAYOUT = f"it must hold {{SYMBOL}}.parquet (or .csv), and later deliveries of such files in {DROPS}/{{NAME}}/"


def list_package(directory: Path, marker: str | None = None) -> Listing:
    """Files of a package and of its drops.

    A drop that has not arrived whole is listed as files that are refused: nothing of it is read, and nothing older may stand
    in for it. It has not where it holds a temporary name (``AAA.parquet`` with ``.partial``, ``.part``, ``.tmp``,
    ``.filepart`` or rsync's letters after it), where ``marker`` is declared and not there, or where it lacks a file that its
    ``SHA256SUMS`` lists.

    Args:
        directory: the package; ``drops/NAME/`` inside it are the drops, whose names sort by time.
        marker: name of the file that the sender puts into a drop last, e.g. ``_SUCCESS``.

    Raises:
        SourceError: no such folder, no file of bars in it, or a SHA256SUMS that is not what sha256sum writes.
    """
    require_folder(directory, _LAYOUT)
    listing = Listing()
    _list_delivery(directory, "", None, listing)
    drops = directory / DROPS
    for entry in visible(drops) if drops.is_dir() else ():
        if entry.is_dir():
            _list_delivery(entry, entry.name, marker, listing)
        else:
            listing.stranger(f"{DROPS}/{entry.name}", "a drop is a folder; left alone")
    require_files(directory, listing, _LAYOUT)
    return listing.sort()


def _list_delivery(folder: Path, drop: str, marker: str | None, listing: Listing) -> None:
    prefix = f"{DROPS}/{drop}/" if drop else ""
    promised = _promised(folder / SUMS)
    here = {entry.name: entry for entry in sorted(folder.iterdir())}
    partial = {found["name"]: name for name in here if drop and (found := _PARTIAL.fullmatch(name))}
    absent = [name for name in promised if name not in here and name not in partial and _is_bars(name)]
    unfinished = _unfinished(here, list(partial.values()), absent, marker) if drop else None
    bars = sorted(name for name in {*here, *partial, *absent} if _is_bars(name))
    for name in bars:
        path = folder / name
        file = BarFile(path, prefix + name, path.stem, drop=drop, promised=promised.get(name))
        if unfinished or name in absent:
            listing.refuse(file, unfinished or f"it is listed in {SUMS} and not here")
        else:
            listing.take(file)
    if drop and not bars:
        listing.stranger(prefix.rstrip("/"), unfinished or "a drop without a file of bars")
    known = {*bars, *partial.values(), DATASET_FILE, SUMS, marker, *([] if drop else [DROPS])}
    for name in here.keys() - known:
        if not name.startswith("."):
            listing.stranger(prefix + name)


def _is_bars(name: str) -> bool:
    return name.endswith(SUFFIXES) and not name.startswith(".") and "/" not in name


def _unfinished(here: dict[str, Path], partial: list[str], absent: list[str], marker: str | None) -> str | None:
    """Why a delivery has not arrived whole; None where it has."""
    waiting = "older deliveries do not stand in for it; let the copy finish, or remove what came of it"
    if partial:
        return f"its delivery is still being copied ({few(partial)}); {waiting}"
    if marker is not None and marker not in here:
        return f"its delivery has no {marker} yet; {waiting}"
    if absent:
        return f"its delivery lacks {few(absent)}, listed in {SUMS}; {waiting}"
    return None


def _promised(sums: Path) -> dict[str, str]:
    """SHA-256 by file name, as the program sha256sum writes them; empty without such a file."""
    if not sums.is_file():
        return {}
    promised = {}
    for number, line in enumerate(sums.read_text(encoding="utf-8").splitlines(), start=1):
        found = _SUM.fullmatch(line.strip())
        if found is None and line.strip():
            raise SourceError(
                f"{sums}: line {number} must be a SHA-256, two spaces and a file name, as sha256sum writes it"
            )
        if found is not None:
            promised[found["name"]] = found["digest"].lower()
    return promised
