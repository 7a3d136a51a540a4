"""Keeping secrets out of everything that a person or a log collector reads."""

import os
import re
from collections.abc import Mapping
from typing import Any

REDACTED = "[redacted]"

_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|(^|_)KEY(_|$)|KEY$", re.IGNORECASE)
# Shorter values are words and digits that stand in every second log line; hiding those would hide the log.
_MIN_LENGTH = 6
# What is secret by its shape, wherever it came from: Slack tokens, the password of a URL, bearer headers.
_SECRET_SHAPES = (
    (re.compile(r"\bxox[a-z]-[A-Za-z0-9-]{6,}"), REDACTED),
    (re.compile(r"(?<=://)([^\s:/@]*):([^\s/@]+)@"), rf"\1:{REDACTED}@"),
    (re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{6,}"), rf"\1{REDACTED}"),
)


class Redactor:
    """Replaces secrets in text by ``[redacted]``.

    A secret is the value, of 6 characters or more, of any variable in ``env`` whose name contains TOKEN,
    SECRET, PASSWORD, PASSWD, CREDENTIAL or ends in (or has as a word) KEY; any of ``values``; and what
    looks like a Slack token, a bearer header or the password inside a URL.
    """

    def __init__(self, env: Mapping[str, str] | None = None, values: tuple[str, ...] = ()) -> None:
        source = os.environ if env is None else env
        named = (value.strip() for name, value in source.items() if _SECRET_NAME.search(name))
        found = {value for value in (*named, *values) if len(value) >= _MIN_LENGTH}
        # Longest first: a secret that begins with another must not leave its tail behind.
        ordered = sorted(found, key=len, reverse=True)
        self._values = re.compile("|".join(re.escape(value) for value in ordered)) if ordered else None

    def text(self, text: str) -> str:
        if self._values is not None:
            text = self._values.sub(REDACTED, text)
        for pattern, replacement in _SECRET_SHAPES:
            text = pattern.sub(replacement, text)
        return text

    def data(self, value: Any) -> Any:
        """The same over strings, mappings (keys too), lists and tuples; other objects by their text,
        numbers as they are.
        """
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.data(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.data(item) for item in value]
        return self.text(str(value))
