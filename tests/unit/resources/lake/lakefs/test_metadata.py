"""Metadata comes back from a server exactly as it was given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.lake import InvalidName
from resources.lake.lakefs.metadata import from_server, stamped, to_headers, unstamped

SHA = "ab" * 32
PREFIX = "x-lakefs-meta-"

any_text = st.text(max_size=20)
header_like = st.text("abcdefxyzABC019-_. \t\r\n:é", max_size=12)
reserved = {"trading-sha256", "trading-path", "trading-metadata", "trading-request"}
keys = (any_text | header_like).filter(lambda key: key not in reserved and not key.startswith(".lakefs."))
pairs = st.dictionaries(keys, any_text | header_like, max_size=6)


def as_a_server_keeps(headers: dict[str, str]) -> dict[str, str]:
    """Names without case, values without outer spaces: as HTTP has it."""
    for name, value in headers.items():
        assert name.isascii() and value.isascii() and not set(name + value) & set("\r\n\0")
    return {name.lower().removeprefix(PREFIX): value.strip(" \t") for name, value in headers.items()}


@given(pairs)
def test_objects_round_trip_through_headers(given_pairs: dict[str, str]) -> None:
    stored = as_a_server_keeps(to_headers(given_pairs, "a/b", SHA))
    assert from_server(stored) == (dict(sorted(given_pairs.items())), SHA)


def test_plain_pairs_stay_readable_on_the_server() -> None:
    stored = as_a_server_keeps(to_headers({"run-id": "a b", "Odd": "ü"}, "a/b", SHA))
    assert stored["run-id"] == "a b"
    assert set(stored) == {"run-id", "trading-sha256", "trading-path", "trading-metadata"}


def test_equal_pairs_are_stored_equally_in_any_order() -> None:
    assert to_headers({"A": "1", "B": "2"}, "a/b", SHA) == to_headers({"B": "2", "A": "1"}, "a/b", SHA)


def test_equal_content_at_two_paths_is_told_apart() -> None:
    """A real server loses one of two such objects in a merge."""
    assert to_headers({}, "a", SHA) != to_headers({}, "b", SHA)
    assert to_headers({}, "a", SHA) == to_headers({}, "a", SHA)


@pytest.mark.parametrize("key", ["trading-sha256", "trading-path", "trading-metadata"])
def test_keys_of_the_lake_itself_are_refused(key: str) -> None:
    with pytest.raises(InvalidName, match=key):
        to_headers({key: "x"}, "a/b", SHA)


@pytest.mark.parametrize(
    "stored",
    [
        None,
        {},
        {"a": "b"},
        {"trading-sha256": "not one", "k": "v"},
        {"trading-metadata": "alone"},
    ],
)
def test_what_others_put_is_shown_as_it_is(stored: dict[str, str] | None) -> None:
    assert from_server(stored) == (stored or {}, None)


@pytest.mark.parametrize("encoded", ["%%%", "bm9uc2Vuc2U=", "WzFd", "eyJhIjogMX0="])
def test_an_encoded_pair_of_another_making_is_shown_as_it_is(encoded: str) -> None:
    stored = {"trading-sha256": SHA, "trading-metadata": encoded}
    assert from_server(stored) == ({"trading-metadata": encoded}, SHA)


@given(pairs)
def test_commits_round_trip(given_pairs: dict[str, str]) -> None:
    stored = {**stamped(given_pairs, "request-1"), ".lakefs.merge.strategy": "default"}
    assert unstamped(stored) == dict(sorted(given_pairs.items()))
    assert unstamped(None) == {}


@pytest.mark.parametrize("key", ["trading-request", ".lakefs.merge.strategy"])
def test_reserved_keys_of_commits(key: str) -> None:
    with pytest.raises(InvalidName, match=key):
        stamped({key: "x"}, "request-1")
