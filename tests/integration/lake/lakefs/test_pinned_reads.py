"""What a commit holds never changes, so it is asked for once."""

from .conftest import Remote


def test_repeated_reads_at_a_commit_make_no_call(remote: Remote) -> None:
    for path in ("d/a", "d/b"):
        remote.lake.put("dev", path, path.encode())
    pin = remote.lake.commit("dev", "m").id

    def read() -> list[object]:
        lake = remote.lake
        return [
            lake.resolve(pin),
            lake.get_commit(pin),
            lake.stat(pin, "d/a"),
            list(lake.list(pin, "d/")),
            list(lake.list(pin, delimiter="/")),
            lake.local_path(pin, "d/a"),
            lake.local_paths(pin, "d/"),
        ]

    before = read()
    remote.count()
    remote.faults.clear()
    remote.lake.put("dev", "d/a", b"other")
    remote.lake.commit("dev", "m")
    calls = remote.count()
    assert read() == before
    assert remote.count() == calls


def test_one_listing_tells_of_every_object(remote: Remote) -> None:
    for path in ("d/a", "d/b"):
        remote.lake.put("dev", path, b"x")
    pin = remote.lake.commit("dev", "m").id
    found = list(remote.lake.list(pin))
    remote.count()
    remote.faults.clear()
    assert [remote.lake.stat(pin, path) for path in ("d/a", "d/b")] == found
    assert remote.count() == 0


def test_reads_at_a_branch_see_every_change(remote: Remote) -> None:
    for data in (b"1", b"2", b"3"):
        remote.lake.put("dev", "a", data)
        assert remote.lake.get("dev", "a") == data
        assert remote.lake.local_path("dev", "a").read_bytes() == data
        assert [item.path for item in remote.lake.list("dev")] == ["a"]
        remote.lake.commit("dev", "m")
        assert remote.lake.local_path("dev@", "a").read_bytes() == data


def test_content_at_many_paths_is_fetched_once(remote: Remote) -> None:
    for number in range(12):
        remote.lake.put("dev", f"d/{number:02d}", b"same" if number < 10 else b"other")
    remote.count()
    remote.faults.clear()
    found = remote.lake.local_paths("dev", "d/")
    assert list(found) == [f"d/{number:02d}" for number in range(12)]
    assert [path.read_bytes() for path in found.values()] == [b"same"] * 10 + [b"other"] * 2
    assert remote.count("GET", "/objects[?]") == 2
