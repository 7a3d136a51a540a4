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
    files = ("adjusted.py", "backtest_runs.py", "history.py", "signals.py")
    sources = ("trading", *(f"trading_assets/{file}" for file in files))
    return f"{version('trading-assets')}+{source_version(*sources)}"


# What decides numbers, then what decides the bytes of pictures.
_PACKAGES_OF_RESULTS = (
    *("exchange-calendars", "llvmlite", "numba", "numpy", "pandas", "polars", "trading-assets", "tzdata"),
    *("matplotlib", "pillow"),
)


@cache
def package_versions() -> dict[str, str]:
    """Versions of what decides a backtest's numbers and pictures, and of Python, for manifests and decisions."""
    from platform import python_version

    return {"python": python_version(), **{name: version(name) for name in _PACKAGES_OF_RESULTS}}
