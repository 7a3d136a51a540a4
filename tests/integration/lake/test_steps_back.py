"""Steps back from a ref: ``~`` to first parents, ``^`` to any parent, as lakeFS has them."""

import pytest
from harness.lake_implementations import IMPLEMENTATIONS

from resources.lake import Lake, RefNotFound

pytestmark = pytest.mark.parametrize("lake_provided", IMPLEMENTATIONS, indirect=True)


@pytest.fixture
def merges(lake: Lake) -> list[str]:
    """Ten merges on main, oldest first; of each, the second parent is the head of its branch."""
    made = []
    for number in range(10):
        lake.create_branch(f"b{number}", "main")
        lake.put(f"b{number}", "a", str(number).encode())
        lake.commit(f"b{number}", "m")
        made.append(lake.merge(f"b{number}", "main", "m").commit_id)
    lake.create_tag("pinned", made[5])
    return made


def test_first_parents(lake: Lake, merges: list[str]) -> None:
    for number in range(10):
        assert lake.resolve(f"main~{number}") == merges[9 - number]
        assert lake.resolve("main" + "~" * number) == merges[9 - number]
    assert lake.resolve("pinned~2") == merges[3]
    assert lake.resolve(f"{merges[5]}~2") == lake.resolve(f"{merges[5][:12]}~~") == merges[3]
    assert lake.get("main~3", "a") == b"6"
    assert lake.get_commit("main~10").parents == ()


def test_other_parents(lake: Lake, merges: list[str]) -> None:
    assert lake.resolve("main^2") == lake.resolve("b9")
    assert lake.resolve("main^") == lake.resolve("main^1") == merges[8]
    assert lake.resolve("main~2^2") == lake.resolve("b7")
    assert lake.resolve("main^2~") == merges[8]
    assert lake.resolve("main^0") == lake.resolve("main~0") == merges[9]


def test_steps_are_from_what_is_committed(lake: Lake, merges: list[str]) -> None:
    lake.put("b9", "a", b"staged")
    assert lake.get("b9", "a") == b"staged"
    assert lake.get("b9~0", "a") == b"9"
    assert [change.path for change in lake.diff("main~1", "main", mode="two_dot")] == ["a"]
    lake.discard("b9")
    assert lake.rollback("b9", "b9~1") == merges[8]


@pytest.mark.parametrize(
    "ref", ["main~11", "main^3", "main~10^", "nope~1", "~1", "main@~1", "main~1@", "main~x", "pinned@", "", "@"]
)
def test_steps_that_lead_nowhere(lake: Lake, merges: list[str], ref: str) -> None:
    with pytest.raises(RefNotFound):
        lake.resolve(ref)
