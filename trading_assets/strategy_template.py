"""A new strategy as a package of its own, written from templates/strategy/."""

import importlib.util
import keyword
import re
from importlib import resources as package_files
from pathlib import Path
from string import Template

from trading.errors import ConfigError

_TEMPLATES = "templates/strategy"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,46}[a-z0-9]")

# file of the package: template
_FILES = {
    "pyproject.toml": "pyproject.toml.tmpl",
    "README.md": "README.md.tmpl",
    "src/$name/__init__.py": "__init__.py.tmpl",
    "src/$name/strategy.py": "strategy.py.tmpl",
    "tests/test_$name.py": "test_strategy.py.tmpl",
    "$name.yml": "variant.yml.tmpl",
}


def write_strategy(folder: Path, name: str, commands: str) -> list[Path]:
    """Write the package of a strategy ``name`` into ``folder``, which must not exist.

    Args:
        commands: what to run next, for its README.

    Returns:
        The files, in the order of the table in the README.

    Raises:
        ConfigError: a name that cannot be one or is taken, or a folder that exists.
    """
    check_name(name)
    if folder.exists():
        raise ConfigError(f"{folder} exists already; give another name, or another folder with --dir")
    words = name.split("_")
    values = {
        "name": name,
        "distribution": name.replace("_", "-"),
        "cls": "".join(word.capitalize() for word in words),
        "label": "".join(word[:1].upper() for word in words)[:4],
        "commands": commands,
    }
    written = []
    templates = package_files.files("trading_assets") / _TEMPLATES
    for path, template in _FILES.items():
        file = folder / Template(path).substitute(values)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            Template((templates / template).read_text(encoding="utf-8")).substitute(values), encoding="utf-8"
        )
        written.append(file)
    return written


def check_name(name: str) -> None:
    """ConfigError where ``name`` cannot be the name of a new strategy, and so of a Python package."""
    from trading.strategies import registered_strategies

    if not _NAME.fullmatch(name) or "__" in name or keyword.iskeyword(name):
        raise ConfigError(
            f"{name!r} cannot be the name of a strategy: 2 to 48 small letters, digits and single _, a letter first, and "
            "no word of Python, such as gap_fade"
        )
    if name in registered_strategies():
        raise ConfigError(f"strategy {name!r} is registered already: trading strategy list")
    if importlib.util.find_spec(name) is not None:
        raise ConfigError(f"there is a Python package {name!r} already; give the strategy another name")
