"""The datasets and models as they were at any commit of the lake, in a DuckDB in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resources.warehouse.errors import ModelError, SourceError
from resources.warehouse.models import load_models
from resources.warehouse.sources import SOURCES, Dataset, PartitionFile
from resources.warehouse.tables import close_off, create_model, exists, load_source

if TYPE_CHECKING:
    import duckdb


def open_as_of(
    commit: str,
    list_files: Callable[[str, str], Sequence[PartitionFile | Path]],
    models_dir: Path | None = None,
    *,
    datasets: Collection[str] = tuple(SOURCES),
    on_misfit: Callable[[str, str], None] | None = None,
) -> duckdb.DuckDBPyConnection:
    """The datasets as they were at ``commit``, as views over their Parquet files in a DuckDB in memory.

    Args:
        commit: any lake commit, tag or branch that ``list_files`` understands.
        list_files: ``(commit, dataset) -> files``.
        models_dir: if given, its models on top of them, all as views; those that need a dataset which is not in
            ``datasets`` are left out. Audits are not run.
        datasets: which; each reads its files' footers at the time of opening.
        on_misfit: called with the name of a table that does not fit, and why. A dataset that lacks columns is then given
            as it is; a model that does not fit it, and a dataset whose files cannot be read, are left out.

    Raises, where there is no ``on_misfit``:
        SourceError: a dataset lacked columns at that commit that are relied on today.
        ModelError: a model does not fit the data of that time.
    """
    import duckdb

    files: dict[str, Dataset] = {name: list_files(commit, name) for name in datasets}
    connection = duckdb.connect()
    try:
        close_off(connection, files)
        for name, dataset in files.items():
            if on_misfit is None:
                load_source(connection, name, dataset, as_view=True)
            else:
                _load_as_it_is(connection, name, dataset, on_misfit)
        if models_dir is not None:
            for model in load_models(models_dir, sources={*SOURCES, *files}):
                if all(exists(connection, name) for name in model.depends_on):
                    try:
                        create_model(connection, model, "VIEW")
                    except ModelError as error:
                        if on_misfit is None:
                            raise
                        on_misfit(model.name, f"left out: {error}")
    except BaseException:
        connection.close()
        raise
    return connection


def _load_as_it_is(
    connection: duckdb.DuckDBPyConnection, name: str, dataset: Dataset, on_misfit: Callable[[str, str], None]
) -> None:
    import duckdb

    try:
        try:
            load_source(connection, name, dataset, as_view=True)
        except SourceError as error:
            load_source(connection, name, dataset, as_view=True, complete=False)
            on_misfit(name, f"as it is: {error}")
    except (duckdb.Error, SourceError) as error:
        on_misfit(name, f"left out: {error}")
