"""The URI of a lake on a server, and the account."""

from pathlib import Path

import pytest

from resources.lake import AuthError, InvalidName, Unsupported, open_lake
from resources.lake.lakefs.address import Account, Address

HOME = {"XDG_CACHE_HOME": "/var/cache/me"}


def test_defaults() -> None:
    address = Address.parse("lakefs://lakefs.example.com/trading", HOME)
    assert (address.server, address.repository) == ("lakefs.example.com:443", "trading")
    assert address.url == "https://lakefs.example.com:443/api/v1"
    assert (address.timeout, address.cache_bytes) == (30.0, 20_000_000_000)
    assert address.cache == Path("/var/cache/me/trading-assets/lake")
    assert str(address) == "lakefs.example.com:443/trading"


def test_every_option() -> None:
    uri = "lakefs://h:8000/trading?tls=off&timeout=2.5&cache=/data/my%20cache&cache_gb=0.5"
    address = Address.parse(uri)
    assert address.uri == uri
    assert (address.url, address.timeout) == ("http://h:8000/api/v1", 2.5)
    assert (address.cache, address.cache_bytes) == (Path("/data/my cache"), 500_000_000)


@pytest.mark.parametrize(
    ("host", "tls"),
    [
        ("127.0.0.1", False),
        ("127.8.9.1", False),
        ("localhost", False),
        ("[::1]", False),
        ("10.0.0.1", True),
        ("lakefs.lan", True),
        ("localhost.example.com", True),
    ],
)
def test_keys_cross_a_network_encrypted_only(host: str, tls: bool) -> None:
    assert Address.parse(f"lakefs://{host}:8000/trading").tls is tls
    assert Address.parse(f"lakefs://{host}:8000/trading?tls=on").tls
    assert not Address.parse(f"lakefs://{host}:8000/trading?tls=off").tls
    assert Address.parse(f"lakefs://{host}:8000/trading").server == f"{host}:8000"


def test_the_cache_is_below_home_where_no_other_place_is_named() -> None:
    for environment in ({}, {"XDG_CACHE_HOME": ""}, {"XDG_CACHE_HOME": "relative"}):
        assert Address.parse("lakefs://h/trading", environment).cache == Path.home() / ".cache/trading-assets/lake"


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("lakefs://h:8000", "must name one repository"),
        ("lakefs://h:8000/", "must name one repository"),
        ("lakefs://h:8000/trading/main", "nothing below it"),
        ("lakefs:///trading", "no host"),
        ("lakefs:trading", "no host"),
        ("lakefs://h:port/trading", "host or port"),
        ("lakefs://h:99999/trading", "host or port"),
        ("lakefs://[::1/trading", "host or port"),
        ("lakefs://h/Trading", "'Trading' must be 3 to 63 lower-case"),
        ("lakefs://h/ab", "3 to 63"),
        ("lakefs://h/trading#x", "'#'"),
        ("lakefs://h/trading?color=red", "option 'color' is unknown; there are tls, timeout, cache, cache_gb"),
        ("lakefs://h/trading?tls=on&tls=off", "option tls is given twice"),
        ("lakefs://h/trading?tls=yes", "tls must be on or off"),
        ("lakefs://h/trading?timeout=soon", "timeout='soon' must be a number"),
        ("lakefs://h/trading?timeout=nan", "timeout='nan' must be a number"),
        ("lakefs://h/trading?timeout=0", "timeout=0 must be above 0"),
        ("lakefs://h/trading?timeout=-1", "must be above 0"),
        ("lakefs://h/trading?timeout=4000", "at most 3600 seconds"),
        ("lakefs://h/trading?cache=relative", "cache=relative must be an absolute directory"),
        ("lakefs://h/trading?cache_gb=0", "cache_gb must be above 0"),
        ("lakefs://h/trading?cache_gb=inf", "cache_gb='inf' must be a number"),
        ("lakefs://h/trading?timeout", "options must be name=value"),
    ],
)
def test_a_malformed_uri_is_told_what_would_be_right(uri: str, said: str) -> None:
    with pytest.raises(InvalidName) as caught:
        open_lake(uri)
    assert said in str(caught.value)
    assert "the form is lakefs://host[:port]/repository[?tls=on|off" in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "lakefs://KEY:hunter2@h:8000/trading",
        "lakefs://hunter2@h/trading",
        "lakefs://KEY:hunter2@h/trading?timeout=soon",
        "lakefs://KEY:hunter2@",
        "lakefs://KEY:hunter2@h:port/trading",
        "lakefs:KEY:hunter2@h/trading",
        "lakefs://h/trading?secret=hunter2",
        "https://KEY:hunter2@h/trading",
    ],
)
def test_keys_in_a_uri_are_refused_and_never_repeated(uri: str) -> None:
    with pytest.raises((InvalidName, Unsupported)) as caught:
        open_lake(uri)
    assert "hunter2" not in f"{caught.value!r} {caught.value.__context__!r} {caught.value.__cause__!r}"


class TestAccount:
    def test_the_first_pair_that_is_set(self) -> None:
        lakectl = {"LAKECTL_CREDENTIALS_ACCESS_KEY_ID": "a", "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY": "b"}
        lakefs = {"LAKEFS_ACCESS_KEY_ID": "c", "LAKEFS_SECRET_ACCESS_KEY": "d"}
        assert Account.from_environment({**lakectl, **lakefs}) == Account("a", "b")
        assert Account.from_environment(lakefs) == Account("c", "d")
        assert Account.from_environment({}) is None

    @pytest.mark.parametrize(
        ("present", "missing"),
        [
            ("LAKECTL_CREDENTIALS_ACCESS_KEY_ID", "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY"),
            ("LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY", "LAKECTL_CREDENTIALS_ACCESS_KEY_ID"),
            ("LAKEFS_ACCESS_KEY_ID", "LAKEFS_SECRET_ACCESS_KEY"),
            ("LAKEFS_SECRET_ACCESS_KEY", "LAKEFS_ACCESS_KEY_ID"),
        ],
    )
    def test_one_without_the_other(self, present: str, missing: str) -> None:
        with pytest.raises(AuthError, match=f"{present} is set and {missing} is not") as caught:
            Account.from_environment({present: "value", missing: ""})
        assert "value" not in str(caught.value)

    def test_it_shows_in_no_text(self) -> None:
        account = Account("KEY", "SECRET")
        assert repr(account) == "Account()"
        assert account.scrubbed("user KEY gave SECRET") == "user *** gave ***"
