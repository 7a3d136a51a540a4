"""Where a server is and how to speak to it: the ``lakefs://`` URI, and the account from the environment."""

import ipaddress
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import parse_qsl, urlsplit

from resources.lake.errors import AuthError, InvalidName

FORM: Final = "lakefs://host[:port]/repository[?tls=on|off&timeout=SECONDS&cache=DIRECTORY&cache_gb=NUMBER]"
VARIABLES: Final = (
    ("LAKECTL_CREDENTIALS_ACCESS_KEY_ID", "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY"),
    ("LAKEFS_ACCESS_KEY_ID", "LAKEFS_SECRET_ACCESS_KEY"),
)
"""Environment variables of an account: access key and secret key, the first pair that is set."""

CONNECT_SECONDS: Final = 5.0

_REPOSITORY = re.compile(r"[a-z0-9][a-z0-9-]{2,62}")
_OPTIONS = ("tls", "timeout", "cache", "cache_gb")
_LONGEST_TIMEOUT = 3600.0
_GB = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Address:
    """A repository on a server.

    Attributes:
        uri: as it was given.
        host, port, repository: of the repository.
        tls: encrypted; off only for this machine itself, or where the URI says so.
        timeout: longest wait for an answer, in seconds.
        cache: directory of local copies.
        cache_bytes: size that the copies are kept below.
    """

    uri: str
    host: str
    port: int
    repository: str
    tls: bool
    timeout: float
    cache: Path
    cache_bytes: int

    def __post_init__(self) -> None:
        if not _REPOSITORY.fullmatch(self.repository):
            raise _malformed(
                f"repository {self.repository!r} must be 3 to 63 lower-case letters, digits and '-', not '-' first"
            )
        if not 0 < self.timeout <= _LONGEST_TIMEOUT:
            raise _malformed(f"timeout={self.timeout:g} must be above 0 and at most {_LONGEST_TIMEOUT:g} seconds")
        if not self.cache.is_absolute():
            raise _malformed(f"cache={self.cache} must be an absolute directory")
        if self.cache_bytes <= 0:
            raise _malformed("cache_gb must be above 0")

    @classmethod
    def parse(cls, uri: str, environment: Mapping[str, str] = os.environ) -> Self:
        """The address that ``uri`` gives, see :data:`FORM`.

        Raises:
            InvalidName: it is not of that form. The text never repeats a part that may be a password.
        """
        if "@" in uri.partition("?")[0]:
            raise _malformed(f"must hold no account; set {' and '.join(VARIABLES[0])} instead")
        try:
            parts = urlsplit(uri)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise _malformed("host or port is not well formed") from None
        if parts.scheme != "lakefs" or not host:
            raise _malformed("has no host")
        if parts.fragment:
            raise _malformed("must hold no '#'")
        repository = parts.path.strip("/")
        if not repository or "/" in repository:
            raise _malformed("must name one repository behind the host, and nothing below it")
        options = _options(parts.query)
        tls = _switch(options["tls"]) if "tls" in options else not _is_this_machine(host)
        return cls(
            uri=uri,
            host=host,
            port=port or (443 if tls else 80),
            repository=repository,
            tls=tls,
            timeout=_number("timeout", options.get("timeout", "30")),
            cache=Path(options["cache"]) if "cache" in options else _default_cache(environment),
            cache_bytes=int(_number("cache_gb", options.get("cache_gb", "20")) * _GB),
        )

    @property
    def server(self) -> str:
        """``host:port``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.server}/api/v1"

    def __str__(self) -> str:
        return f"{self.server}/{self.repository}"


@dataclass(frozen=True, slots=True)
class Account:
    """Keys of an account on the server; they show in no text."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self | None:
        """The account of the first pair of :data:`VARIABLES` that is set; None where none is.

        Raises:
            AuthError: one of a pair is set without the other.
        """
        for pair in VARIABLES:
            found = [environment.get(name, "") for name in pair]
            if all(found):
                return cls(*found)
            if any(found):
                missing, present = pair if not found[0] else pair[::-1]
                raise AuthError(f"{present} is set and {missing} is not: set both, or none")
        return None

    def scrubbed(self, text: str) -> str:
        """``text`` without the keys, should a server have repeated them."""
        return text.replace(self.secret_key, "***").replace(self.access_key, "***")


def _malformed(problem: str) -> InvalidName:
    return InvalidName(f"lake URI lakefs://...: {problem}; the form is {FORM}")


def _options(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise _malformed("options must be name=value, with '&' between") from None
    options: dict[str, str] = {}
    for name, value in pairs:
        if name not in _OPTIONS:
            raise _malformed(f"option {name!r} is unknown; there are {', '.join(_OPTIONS)}")
        if name in options:
            raise _malformed(f"option {name} is given twice")
        options[name] = value
    return options


def _switch(value: str) -> bool:
    if value not in ("on", "off"):
        raise _malformed("tls must be on or off")
    return value == "on"


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _malformed(f"{name}={text!r} must be a number")
    return number


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _default_cache(environment: Mapping[str, str]) -> Path:
    given = environment.get("XDG_CACHE_HOME", "")
    base = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    return base / "trading-assets" / "lake"
