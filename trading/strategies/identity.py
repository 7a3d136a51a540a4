"""Identity of a strategy version: what it does, not how its source is laid out."""

import ast
import hashlib
import inspect
import json
import sys
from abc import ABC
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import Any, Generic

from trading.errors import ConfigError
from trading.strategies.api import Strategy
from trading.strategies.params import Params

DIGITS = 16


def canonical_json(content: Any) -> str:
    """One text per value: keys sorted, no spaces, no NaN."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(content: Any) -> str:
    """SHA-256 (hex) over the canonical JSON of ``content``."""
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def strategy_version(strategy: Strategy[Any], params: Params, timeframe: str) -> str:
    """First 16 hex digits of SHA-256 over the strategy's source, its parameters and its timeframe.

    Comments, docstrings and layout do not count; the Python version does not either. What the source imports
    from outside its ``source_modules`` is not part of it: a decision's evidence records the platform's code
    version for that.
    """
    content = {
        "name": strategy.name,
        "source": source_hash(type(strategy)),
        "params": params.model_dump(mode="json"),
        "timeframe": timeframe,
    }
    return content_hash(content)[:DIGITS]


@cache
def source_hash(strategy: type[Strategy[Any]]) -> str:
    """Hash over the modules that implement ``strategy``: its class's, its bases' and its
    ``source_modules``.
    """
    classes = [c for c in strategy.__mro__ if c not in (Strategy, Generic, ABC, object)]
    names = {c.__module__ for c in classes} | set(strategy.source_modules)
    return source_fingerprint(_source(name) for name in sorted(names))


def source_fingerprint(sources: Iterable[str]) -> str:
    """SHA-256 (hex) over the syntax trees of ``sources`` in the order given, without comments and
    docstrings.
    """
    digest = hashlib.sha256()
    for source in sources:
        digest.update(canonical_json(_tree(ast.parse(source))).encode() + b"\0")
    return digest.hexdigest()


def _source(module: str) -> str:
    try:
        return inspect.getsource(sys.modules.get(module) or import_module(module))
    except (OSError, TypeError, ImportError) as error:
        raise ConfigError(
            f"the source of module {module} cannot be read, so the strategy has no version: {error}"
        ) from None


def _tree(node: Any) -> Any:
    """A syntax tree as JSON. Empty fields are left out: which of them exist differs between Python
    versions.
    """
    if isinstance(node, ast.AST):
        fields = {
            name: _tree(value)
            for name, value in ast.iter_fields(node)
            if name not in ("ctx", "kind", "type_comment") and value is not None and value != []
        }
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
            fields["body"] = _tree(body)
        return [type(node).__name__, fields]
    if isinstance(node, list):
        return [_tree(item) for item in node]
    if isinstance(node, str | bool):
        return node
    return {type(node).__name__: repr(node)}
