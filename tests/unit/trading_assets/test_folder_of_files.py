from pathlib import Path

import pytest

from trading.errors import ConfigError
from trading_assets import folder_of_files
from trading_assets.folder_of_files import write_folder

OLD, NEW = {"a": b"1", "gone": b"2"}, {"a": b"3", "b": b"4"}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_is_made_replaced_and_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "x"
    assert write_folder(folder, OLD, known=())
    assert write_folder(folder, NEW, known=OLD)
    assert content(folder) == NEW
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert not write_folder(folder, NEW, known=())
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["x"]


def test_what_is_somebody_elses_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"notes\.txt"):
        write_folder(tmp_path, NEW, known=OLD)
    with pytest.raises(ConfigError, match="is a file"):
        write_folder(tmp_path / "notes.txt", NEW, known=())
    assert content(tmp_path) == {"notes.txt": b"mine"}


@pytest.mark.parametrize("fails_at", ["a", "b", "the second rename"])
def test_a_failure_leaves_the_old_files_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: str
) -> None:
    folder = tmp_path / "x"
    write_folder(folder, OLD, known=())
    write, rename = folder_of_files._write, Path.rename

    def failing_write(file: Path, data: bytes) -> None:
        if file.name == fails_at:
            raise OSError("no space left on device")
        write(file, data)

    def failing_rename(self: Path, target: Path) -> Path:
        if fails_at == "the second rename" and self.name.endswith(".part"):
            raise OSError("permission denied")
        return rename(self, target)

    monkeypatch.setattr(folder_of_files, "_write", failing_write)
    monkeypatch.setattr(Path, "rename", failing_rename)
    with pytest.raises(OSError, match=r"no space|denied"):
        write_folder(folder, NEW, known=OLD)
    assert content(folder) == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
