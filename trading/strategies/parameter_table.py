"""What a parameter model takes, for people: name, kind, default and meaning of each parameter."""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_jsonable_python

from trading.strategies.params import Params

_ARGUMENT = re.compile(r"^    (\w+(?:, \w+)*): (.*)$")
_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
_NAMES = {"integer": "int", "number": "float", "boolean": "bool", "string": "str", "array": "list", "object": "mapping"}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a strategy.

    Attributes:
        name: as it stands in ``params`` of a variant.
        kind: type and bounds, e.g. ``int >= 1 or null``.
        default: as YAML reads it, e.g. ``null``; ``required`` without one.
        meaning: from ``Field(description=...)``, else from ``Args:`` of the model's docstring; may be empty.
    """

    name: str
    kind: str
    default: str
    meaning: str


def parameters_of(model: type[Params]) -> list[Parameter]:
    """The parameters of ``model`` in the order of their declaration."""
    told = _told(model)
    kinds = model.model_json_schema()
    return [
        Parameter(
            name,
            _kind(kinds["properties"][name], kinds.get("$defs", {})),
            "required"
            if field.is_required()
            else _yaml(to_jsonable_python(field.get_default(call_default_factory=True))),
            (field.description or told.get(name, "")).replace("``", "`"),
        )
        for name, field in model.model_fields.items()
    ]


def values_of(params: Params) -> dict[str, str]:
    """The values of ``params`` by name, as YAML reads them."""
    return {name: _yaml(value) for name, value in params.model_dump(mode="json").items()}


def _told(model: type[Params]) -> dict[str, str]:
    """Meanings by name from the section ``Args:`` of the docstrings of ``model`` and its bases."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        lines = inspect.cleandoc(kind.__dict__.get("__doc__") or "").splitlines()
        names: list[str] = []
        for line in lines[lines.index("Args:") + 1 :] if "Args:" in lines else ():
            if match := _ARGUMENT.match(line):
                names = match[1].split(", ")
                found.update(dict.fromkeys(names, match[2].strip()))
            elif line.startswith("     ") and names:
                found.update({name: f"{found[name]} {line.strip()}" for name in names})
            elif line.strip():
                break
    return found


def _kind(schema: Mapping[str, Any], defined: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        schema = defined[schema["$ref"].rsplit("/", 1)[-1]]
    if "anyOf" in schema:
        return " or ".join(_kind(one, defined) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return " or ".join(_yaml(value) for value in schema.get("enum", [schema.get("const")]))
    name = _NAMES.get(schema.get("type", ""), schema.get("type", "any"))
    return " ".join([name, *_bounds(schema)])


def _bounds(schema: Mapping[str, Any]) -> Iterator[str]:
    found = [f"{sign} {schema[key]:g}" for key, sign in _BOUNDS.items() if key in schema]
    if found:
        yield " and ".join(found)


def _yaml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
