"""The package that speaks TWS's protocol, named here alone: its maintained fork, ib_async, has the same interface.

Import it on the thread whose event loop it will use; eventkit, below it, asks for a loop while it is imported.
"""

import logging
from importlib import import_module
from typing import Any

_PACKAGE = "ib_insync"


def library() -> Any:
    """The package. It has no types."""
    # What it logs as an error comes back to its caller as an exception as well, and is often none (a day without data).
    logging.getLogger(_PACKAGE).setLevel(logging.CRITICAL)
    return import_module(_PACKAGE)
