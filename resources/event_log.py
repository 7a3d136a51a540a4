"""Dagster's event log of a home, in SQLite: its own tables and files, with the connections kept.

Dagster's class makes an engine and a connection for each statement, and SQLite writes its log back into the database file
whenever the last connection closes. Most of the time of an event goes there. Both classes read what the other one wrote.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from dagster import StringSource
from dagster._config.config_schema import UserConfigSchema
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

_KEPT = 4  # the index, the run at work, and few others: a server looks at many runs, and each is a file


class KeptEventLog(SqliteEventLogStorage):
    """`SqliteEventLogStorage` that keeps its connections, one to a file and to few files at a time.

    An event is in the file when the call returns, and a killed process loses none. A loss of power may lose the newest ones:
    a partition that is on ``main`` then has no event, and materialising it again publishes nothing and writes that event.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._inherited: list[OrderedDict[str, Engine]] = []
        self._process = os.getpid()
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {"dagster_home": StringSource}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """``dagster_home``: the instance's folder; the files lie where Dagster's own default has them."""
        return cls(str(Path(config_value["dagster_home"]) / "history" / "runs"), inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _engine(self, shard: str) -> Engine:
        if self._process != os.getpid():
            # a fork: SQLite's connections must not be used, nor even closed, by another process than their own
            self._inherited.append(self._engines)
            self._engines, self._process = OrderedDict(), os.getpid()
        engine = self._engines.get(shard)
        if engine is None:
            engine = self._engines[shard] = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool,
                pool_size=1,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )
            event.listen(engine, "connect", _without_waiting)
            if len(self._engines) > _KEPT:
                self._engines.popitem(last=False)[1].dispose()
        self._engines.move_to_end(shard)
        return engine

    def has_table(self, table_name: str) -> bool:
        """Asked for with each event; a table that is there once stays."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def wipe(self) -> None:
        self._close()
        super().wipe()

    def dispose(self) -> None:
        super().dispose()
        self._close()

    def _close(self) -> None:
        with self._db_lock:
            for engine in self._engines.values():
                engine.dispose()
            self._engines.clear()


def _without_waiting(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")  # in WAL mode: whole at any time, and not behind the disk
