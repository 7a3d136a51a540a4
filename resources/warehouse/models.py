"""Model and audit files: SQL with a header that says what it is, parsed strictly and put in order.

A model's file::

    /* model
    name: portfolio_daily
    kind: table
    owner: team:trading-platform
    grain: account, session
    description: One line or more; further lines are indented.
    depends_on: portfolio_worth
    audits: worth_adds_up
    */
    SELECT ...

``grain`` lists the columns that no two rows share and that are never null; that is audited without being
asked for. An audit's file is headed ``/* audit`` with name, description, model, severity (``error`` keeps
the old warehouse in place, ``warning`` is reported) and selects the rows that must not be.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Literal

from resources.warehouse.errors import ModelError
from resources.warehouse.sources import SOURCES

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_KEY = re.compile(r"([a-z_]+):[ \t]*(.*)")

_MODEL_KEYS = ("name", "kind", "owner", "grain", "description", "depends_on", "audits")
_AUDIT_KEYS = ("name", "model", "severity", "description")
_OPTIONAL = frozenset({"audits"})


@dataclass(frozen=True)
class Model:
    """One table or view of the warehouse; ``sql`` is a single SELECT that begins in line ``sql_line`` of
    ``file``.
    """

    name: str
    kind: Literal["view", "table"]
    owner: str
    grain: tuple[str, ...]
    description: str
    depends_on: tuple[str, ...]
    audits: tuple[str, ...]
    sql: str
    sql_line: int
    file: Path


@dataclass(frozen=True)
class Audit:
    """A SELECT of rows that must not be."""

    name: str
    model: str
    severity: Literal["error", "warning"]
    description: str
    sql: str
    sql_line: int
    file: Path


def load_models(folder: Path, *, sources: Collection[str] = tuple(SOURCES)) -> tuple[Model, ...]:
    """The models of ``folder`` (``*.sql``), each after those it depends on, otherwise by name.

    Raises:
        ModelError: a header is incomplete or wrong, a dependency is neither a model nor in ``sources``, the
            declared dependencies are not those that the SELECT uses, or models depend on each other in a
            circle.
    """
    models = {model.name: model for model in (_model(file) for file in _sql_files(folder))}
    for model in models.values():
        if model.name in sources:
            raise ModelError(model.file, 1, f"{model.name} is the name of a dataset; choose another")
        lines = _header(model.file, "model", _MODEL_KEYS).lines
        for name in model.depends_on:
            if name not in models and name not in sources:
                known = ", ".join(sorted({*models, *sources} - {model.name}))
                raise ModelError(model.file, lines["depends_on"], f"depends_on {name}: unknown; known are {known}")
        used = _tables(model)
        if used != set(model.depends_on):
            raise ModelError(
                model.file,
                lines["depends_on"],
                f"depends_on lists {_listed(model.depends_on)} but the SELECT uses {_listed(used)}",
            )
    sorter = TopologicalSorter({name: [d for d in models[name].depends_on if d in models] for name in sorted(models)})
    try:
        return tuple(models[name] for name in sorter.static_order())
    except CycleError as error:
        circle: Sequence[str] = error.args[1]
        first = models[circle[0]]
        raise ModelError(first.file, 1, f"models depend on each other in a circle: {' -> '.join(circle)}") from None


def read_headers(folder: Path) -> tuple[Model, ...]:
    """The models of ``folder`` by name, from their headers alone: quick, and without DuckDB.

    Their SQL is judged by :func:`load_models`, when the warehouse is built.

    Raises:
        ModelError: a header is incomplete or wrong.
    """
    return tuple(_model(file, judge_sql=False) for file in _sql_files(folder))


def load_audits(
    folder: Path, models: Sequence[Model], *, sources: Collection[str] = tuple(SOURCES)
) -> tuple[Audit, ...]:
    """The audits of ``folder`` that the models name, in the models' order.

    Raises:
        ModelError: a header is wrong, a model names an audit that is not there or that is another model's, an
            audit is named by no model, or one uses a table that does not exist.
    """
    audits = {audit.name: audit for audit in (_audit(file) for file in _sql_files(folder))}
    tables = {model.name for model in models} | set(sources)
    wanted: list[Audit] = []
    for model in models:
        for name in model.audits:
            line = _header(model.file, "model", _MODEL_KEYS).lines["audits"]
            audit = audits.get(name)
            if audit is None:
                raise ModelError(model.file, line, f"audit {name}: there is no {folder / name}.sql")
            if audit.model != model.name:
                raise ModelError(model.file, line, f"audit {name} is of {audit.model}; see {audit.file}")
            wanted.append(audit)
    for audit in audits.values():
        if audit not in wanted:
            raise ModelError(audit.file, 1, f"no model lists this audit; add it to audits of {audit.model}")
        unknown = _tables(audit) - tables
        if unknown:
            raise ModelError(audit.file, 1, f"uses {_listed(unknown)}: no such model or dataset")
    return tuple(wanted)


@dataclass(frozen=True)
class _Header:
    values: Mapping[str, str]
    lines: Mapping[str, int]
    sql: str
    sql_line: int


def _header(file: Path, kind: str, keys: Sequence[str]) -> _Header:
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    if not lines or lines[0].strip() != f"/* {kind}":
        raise ModelError(file, 1, f"must begin with a line `/* {kind}`, the header")
    values: dict[str, str] = {}
    numbers: dict[str, int] = {}
    key = ""
    for number, line in enumerate(lines[1:], start=2):
        if line.strip() == "*/":
            break
        found = _KEY.fullmatch(line)
        if found:
            key = found[1]
            if key not in keys:
                raise ModelError(file, number, f"{key} is unknown in a header; known are {', '.join(keys)}")
            if key in values:
                raise ModelError(file, number, f"{key} is given twice, first in line {numbers[key]}")
            values[key], numbers[key] = found[2].strip(), number
        elif line[:1].isspace() and line.strip() and key:
            values[key] = f"{values[key]} {line.strip()}".strip()
        else:
            raise ModelError(file, number, "in a header stand `key: value` lines and indented further lines only")
    else:
        raise ModelError(file, len(lines), "the header does not end; close it with a line `*/`")
    for name in keys:
        if not values.get(name) and name not in _OPTIONAL:
            raise ModelError(file, numbers.get(name, 1), f"the header lacks {name}")
    if values["name"] != file.stem:
        raise ModelError(file, numbers["name"], f"name is {values['name']} but the file is {file.name}")
    if not _NAME.fullmatch(values["name"]):
        raise ModelError(file, numbers["name"], f"{values['name']}: lower-case letters, digits and _ only")
    while number < len(lines) and not lines[number].strip():
        number += 1
    return _Header(values, numbers, "\n".join(lines[number:]).rstrip().rstrip(";").rstrip(), number + 1)


def _model(file: Path, *, judge_sql: bool = True) -> Model:
    header = _header(file, "model", _MODEL_KEYS)
    values = header.values
    grain = _items(values["grain"])
    for column in grain:
        if not _COLUMN.fullmatch(column):
            raise ModelError(file, header.lines["grain"], f"grain lists columns, separated by commas; not {column!r}")
    return Model(
        name=values["name"],
        kind="table" if _one_of(header, file, "kind", ("view", "table")) == "table" else "view",
        owner=values["owner"],
        grain=grain,
        description=values["description"],
        depends_on=_items(values["depends_on"]),
        audits=_items(values.get("audits", "")),
        sql=_select(header, file) if judge_sql else header.sql,
        sql_line=header.sql_line,
        file=file,
    )


def _audit(file: Path) -> Audit:
    header = _header(file, "audit", _AUDIT_KEYS)
    severity = _one_of(header, file, "severity", ("error", "warning"))
    return Audit(
        name=header.values["name"],
        model=header.values["model"],
        severity="error" if severity == "error" else "warning",
        description=header.values["description"],
        sql=_select(header, file),
        sql_line=header.sql_line,
        file=file,
    )


def _one_of(header: _Header, file: Path, key: str, choices: Sequence[str]) -> str:
    if header.values[key] not in choices:
        raise ModelError(file, header.lines[key], f"{key} is {header.values[key]!r}; use {' or '.join(choices)}")
    return header.values[key]


def _select(header: _Header, file: Path) -> str:
    import duckdb

    try:
        statements = duckdb.extract_statements(header.sql)
    except duckdb.Error as error:
        raise ModelError(file, error_line(error, header.sql_line), str(error)) from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ModelError(file, header.sql_line, "exactly one SELECT must follow the header")
    return header.sql


def error_line(error: Exception, first: int) -> int:
    """Line of the file that DuckDB complains about, where ``first`` is the one that it was given as line
    1.
    """
    place = re.search(r"^LINE (\d+):", str(error), re.MULTILINE)
    return first + int(place[1]) - 1 if place else first


def _tables(select: Model | Audit) -> set[str]:
    """Names of the tables that a SELECT reads, common table expressions left out."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET enable_external_access = false")
        try:
            return set(connection.get_table_names(select.sql))
        except duckdb.Error as error:
            raise ModelError(select.file, error_line(error, select.sql_line), f"cannot be read: {error}") from None


def _sql_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.sql"))


def _items(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
