"""Records of a store that were changed, lost or added behind the lake's back; and stores of an older format."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from harness.filled_store import dump, make, opened, problems, read_all, run, run_unseen
from harness.older_store import to_format_1

from resources.lake import CorruptObject, Gone
from resources.lake.embedded import Problem
from resources.lake.embedded.schema import changes_digest


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sound") / "lake"
    make(directory)
    return directory


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "store"))


ROWS_LOST_ADDED_OR_EXCHANGED = [
    ("branches", "DELETE FROM branches WHERE name = 'wap-2'"),
    ("tags", "DELETE FROM tags WHERE name = 'order-batch-4'"),
    ("commits", "DELETE FROM commits WHERE message = 'merge 3'"),
    ("staging", "DELETE FROM staging WHERE path = 'staged/new'"),
    ("tags", "INSERT INTO tags (name, head, created) SELECT 'forged', head, 0 FROM tags LIMIT 1"),
    ("tags", "UPDATE tags SET name = 'order-batch-5' WHERE name = 'order-batch-4'"),
    ("branches", "UPDATE branches SET head = (SELECT head FROM branches WHERE name = 'wap-0') WHERE name = 'wap-2'"),
]


@pytest.mark.parametrize(("table", "statement"), ROWS_LOST_ADDED_OR_EXCHANGED)
def test_rows_lost_added_or_exchanged(store: Path, table: str, statement: str) -> None:
    run_unseen(store, statement)
    found = problems(store)
    assert isinstance(found, list)
    assert any(problem.kind == "file" and f"table {table} " in problem.detail for problem in found)
    with opened(store) as lake:
        before = {path.name for path in (store / "objects").glob("*/*")}
        with pytest.raises(CorruptObject, match=table):
            lake.gc(timedelta(0), grace=timedelta(0))
        assert {path.name for path in (store / "objects").glob("*/*")} == before


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE changes SET path = path || 'x' WHERE seq = {seq}",
        "DELETE FROM changes WHERE seq = {seq}",
        "INSERT INTO changes (path, seq) VALUES ('added', {seq})",
    ],
)
@pytest.mark.parametrize("message", ["merge 1", "merge 6"])  # one without content, one with
def test_the_record_of_changed_paths(store: Path, message: str, change: str) -> None:
    ((seq, commit),) = run(store, "SELECT seq, id FROM commits WHERE message = ?", message)
    run(store, change.format(seq=seq))
    (problem,) = problems(store)
    assert isinstance(problem, Problem)
    assert (problem.kind, problem.name, problem.commits) == ("changes", commit, (commit,))


def test_changes_of_no_commit(store: Path) -> None:
    run(store, "INSERT INTO changes (path, seq) VALUES ('added', 999)")
    (problem,) = problems(store)
    assert isinstance(problem, Problem) and (problem.kind, problem.paths) == ("changes", ("added",))


def test_changes_that_agree_with_their_digest_and_not_with_the_trees(store: Path) -> None:
    ((seq, commit),) = run(store, "SELECT seq, id FROM commits WHERE message = 'merge 6'")
    run(store, "DELETE FROM changes WHERE seq = ?", seq)
    run(store, "UPDATE commits SET changed = ? WHERE seq = ?", changes_digest([]), seq)
    (problem,) = problems(store)
    assert isinstance(problem, Problem) and (problem.kind, problem.name) == ("changes", commit)


@pytest.mark.parametrize("column", ["generation", "depth", "first", "jump"])
def test_the_place_of_a_commit_in_the_history(store: Path, column: str) -> None:
    """Written with a seal that holds, as only a fault of the lake itself would."""
    run(store, f"UPDATE commits SET {column} = {column} - 1 WHERE message = 'merge 6'")
    ((commit,),) = run(store, "SELECT id FROM commits WHERE message = 'merge 6'")
    found = problems(store)
    assert isinstance(found, list)
    assert ("commit", commit) in {(problem.kind, problem.name) for problem in found}


def test_a_ref_to_no_commit_and_what_is_staged_on_no_branch(store: Path) -> None:
    run(store, "UPDATE branches SET head = ? WHERE name = 'wap-2'", "0" * 64)
    run(store, "INSERT INTO staging (branch, path) VALUES (99, 'lost')")
    found = problems(store)
    assert isinstance(found, list)
    assert {(p.kind, p.name, p.paths, p.refs) for p in found} == {
        ("commit", "0" * 64, (), ("wap-2",)),
        ("staging", "lost", ("lost",), ()),
    }


def test_an_index_or_trigger_which_is_not_there_any_more(store: Path) -> None:
    run(store, "DROP TRIGGER tags_delete")
    (problem,) = problems(store)
    assert isinstance(problem, Problem) and "definitions" in problem.detail


def test_files_which_nothing_knows_are_no_damage_and_a_dry_run_names_them(store: Path) -> None:
    (store / "objects" / "ab" / "README").write_text("not the lake's")
    (store / "objects" / "stray").write_text("not the lake's")
    (store / "objects" / "ab" / "folder").mkdir()
    misplaced = store / "objects" / "ab" / ("cd" * 32)
    misplaced.write_text("in the wrong folder")
    (store / "objects" / "cd" / ("cd" * 32)).write_text("an object of no commit")
    assert problems(store) == []
    with opened(store) as lake:
        kept = timedelta(days=36500)
        dry = lake.gc(kept, grace=timedelta(0), dry_run=True)
        assert sorted(dry.unknown_files) == sorted(["ab/README", "ab/folder", f"ab/{misplaced.name}", "stray"])
        assert (dry.objects, dry.object_bytes) == (1, len("an object of no commit"))
        done = lake.gc(kept, grace=timedelta(0))
        assert (done.objects, done.unknown_files) == (1, dry.unknown_files)
        assert misplaced.exists() and (store / "objects" / "ab" / "README").exists()


def test_a_store_of_format_1_is_brought_to_this_one(store: Path) -> None:
    before = read_all(store)
    to_format_1(store)
    assert run(store, "PRAGMA user_version") == [(1,)]
    with opened(store) as lake:
        assert dump(lake) == before
        assert list(lake.verify()) == []
        lake.create_branch("newer", "main")
        lake.put("newer", "a", b"a")
        commit = lake.commit("newer", "m").id
        assert list(lake.verify()) == []
    assert run(store, "PRAGMA user_version") == [(2,)]
    assert run(store, "SELECT id FROM branches WHERE name = 'newer'") == [(501,)]
    assert run(store, "SELECT seq FROM commits WHERE id = ?", commit) == [(501,)]
    assert run(store, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'older%'") == [(0,)]


def test_reading_a_damaged_record_is_an_error_of_the_lake(store: Path) -> None:
    run(store, "UPDATE commits SET parents = '[', metadata = '{' WHERE message = 'merge 6'")
    run(store, "UPDATE staging SET metadata = '{' WHERE path = 'staged/new'")
    ((commit,),) = run(store, "SELECT id FROM commits WHERE message = 'merge 6'")
    with opened(store) as lake:
        for read in (
            lambda: lake.get_commit(commit),
            lambda: lake.get("dev", "staged/new"),
            lambda: list(lake.log(commit)),
        ):
            with pytest.raises(Gone, match="verify"):
                read()
        assert {problem.kind for problem in lake.verify()} >= {"commit"}
