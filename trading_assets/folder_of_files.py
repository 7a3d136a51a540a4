"""A folder that is written as a whole: all of its files are there, or none is."""

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from trading.errors import ConfigError

_UNDER_WAY, _REPLACED = ".part", ".old"


def write_folder(folder: Path, files: Mapping[str, bytes], *, known: Collection[str]) -> bool:
    """Make ``files`` the whole content of ``folder``; whether anything had to be written.

    They are written beside it and put in its place by a rename. A kill at any point leaves the old files or the new; between
    the two renames that replace a folder, the old ones under ``.<name>.<process>.old``.

    Args:
        known: names that may be replaced, besides those of ``files``.

    Raises:
        ConfigError: it is no folder, or holds something that is not known.
        OSError: it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; give a folder that is empty or not there yet")
    held = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    strange = [name for name in held if name not in {*known, *files}]
    if strange:
        raise ConfigError(f"{folder} holds {strange[0]}, which this would remove; give a folder of its own")
    if held == sorted(files) and all((folder / name).read_bytes() == content for name, content in files.items()):
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    mine = f".{folder.name}.{os.getpid()}"
    partial, replaced = folder.with_name(mine + _UNDER_WAY), folder.with_name(mine + _REPLACED)
    try:
        partial.mkdir()
        for name, content in files.items():
            _write(partial / name, content)
        if folder.exists():
            folder.rename(replaced)
        partial.rename(folder)
    finally:
        if not folder.exists() and replaced.exists():
            replaced.rename(folder)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)
    return True


def _write(file: Path, content: bytes) -> None:
    with file.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
