"""Listings: order, pages, prefixes, delimiters."""

import random

from harness.lake_actions import Land, paths, put_all

from resources.lake import Lake, ObjectInfo, Prefix


def test_2501_objects_in_order_and_after(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    names = sorted(f"k/{random.Random(n).randrange(10**9)}-{n}" for n in range(2501))
    shuffled = random.Random(0).sample(names, len(names))
    put_all(lake, "dev", shuffled[:2000])
    lake.commit("dev", "m")
    put_all(lake, "dev", shuffled[2000:])
    assert paths(lake.list("dev")) == names
    assert paths(lake.list("dev", after=names[1000])) == names[1001:]
    assert paths(lake.list("dev", after=names[1000] + "~")) == [n for n in names if n > names[1000] + "~"]
    assert paths(lake.list("dev", "k/7")) == [n for n in names if n.startswith("k/7")]
    assert paths(lake.list("dev@")) == sorted(shuffled[:2000])
    numbered = [f"k/{n}" for n in range(10) if any(name.startswith(f"k/{n}") for name in names)]
    assert paths(lake.list("dev", delimiter="/")) == ["k/"]
    assert paths(lake.list("dev", "k/", delimiter="-"))[:1] == [names[0].partition("-")[0] + "-"]
    assert len(paths(lake.list("dev", "k/", delimiter="-"))) == 2501 and len(numbered) == 9


def test_byte_order_is_not_the_order_of_letters(lake: Lake, land: Land) -> None:
    names = ["Z", "a", "ab", "a/b", "a-b", "é", "z", "\uffee", "😀"]
    land(dict.fromkeys(names, b"x"))
    assert paths(lake.list("main")) == sorted(names, key=str.encode)


def test_delimiter(lake: Lake, land: Land) -> None:
    land(dict.fromkeys(["a", "b/1", "b/2/x", "b/2/y", "b0", "c/1"], b"x"))
    found = list(lake.list("main", delimiter="/"))
    assert paths(found) == ["a", "b/", "b0", "c/"]
    assert [type(item) for item in found] == [ObjectInfo, Prefix, ObjectInfo, Prefix]
    assert paths(lake.list("main", "b/", delimiter="/")) == ["b/1", "b/2/"]
    assert paths(lake.list("main", "b", delimiter="/")) == ["b/", "b0"]
    assert paths(lake.list("main", after="b/", delimiter="/")) == ["b0", "c/"]
    assert paths(lake.list("main", after="a", delimiter="/")) == ["b/", "b0", "c/"]
    assert paths(lake.list("main", "b/", after="b/1", delimiter="/")) == ["b/2/"]


def test_delimiter_with_many_behind_a_prefix_and_staging_on_top(lake: Lake) -> None:
    lake.create_branch("dev", "main")
    put_all(lake, "dev", [f"{folder}/{number:03d}" for folder in "abc" for number in range(150)])
    lake.commit("dev", "m")
    lake.delete("dev", [f"b/{number:03d}" for number in range(150)])
    lake.put("dev", "bb/1", b"x")
    assert paths(lake.list("dev", delimiter="/")) == ["a/", "bb/", "c/"]
    assert paths(lake.list("dev@", delimiter="/")) == ["a/", "b/", "c/"]
