"""Which code made something: hashes of source files."""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("trading", "resources", "jobs", "sensors", "trading_assets", "dbt_like_sql")


@cache
def source_version(*paths: str) -> str:
    """First 12 hex digits of SHA-256 over the sources under ``paths`` (files or folders, relative to the repository).

    Used as the code version of assets: it moves when, and only when, the code that makes them does.
    """
    digest = hashlib.sha256()
    for path in sorted(paths):
        start = ROOT / path
        if not start.exists():
            raise FileNotFoundError(f"code version of {path}: no such file under {ROOT}")
        files = [start] if start.is_file() else sorted([*start.rglob("*.py"), *start.rglob("*.sql")])
        for file in files:
            digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


@cache
def platform_version() -> str:
    """Version of the whole platform, e.g. ``0.1.0+3f2a9c0d1e2b``: release and hash of every source file."""
    present = [name for name in _PACKAGES if (ROOT / name).exists()]
    return f"{version('trading-assets')}+{source_version(*present)}"


@cache
def research_version() -> str:
    """Version of the code that decides a backtest's numbers; other code may change without making evidence look new."""
    sources = ("trading", "trading_assets/backtests.py", "trading_assets/history.py", "trading_assets/signals.py")
    return f"{version('trading-assets')}+{source_version(*sources)}"
