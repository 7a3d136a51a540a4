"""An installation in a temporary home, with its services as real processes on free loopback ports."""

import datetime as dt
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.graphql import GraphQL, Run
from harness.processes import BIN, ROOT, Processes, Running, answers, clean_environment, free_port, listens
from trading_assets.runs import prepare_dagster_home
from trading_assets.settings import Settings

AT = Path(__file__).with_name("at.py")
LOCATION = "trading_assets"


@dataclass
class Installation:
    """Code server, webserver and daemon on one home.

    Attributes:
        module: what the code server loads.
        env: variables besides TRADING_HOME and DAGSTER_HOME, e.g. LEDGER_URL.
        clocks: what time it is for a service (webserver, daemon) when it first starts; it keeps that distance to the
            machine's clock when it is started again. Services not named have the machine's.
    """

    home: Path
    processes: Processes
    module: str = "trading_assets.definitions"
    env: Mapping[str, str] = field(default_factory=dict)
    clocks: Mapping[str, dt.datetime] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    code_port: int = field(default_factory=free_port)
    _by_name: dict[str, Running] = field(default_factory=dict)
    _offsets: dict[str, float] = field(default_factory=dict)

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def graphql(self) -> GraphQL:
        return GraphQL(self.url, LOCATION)

    @property
    def environment(self) -> dict[str, str]:
        return clean_environment(TRADING_HOME=str(self.home), DAGSTER_HOME=str(self.dagster_home), **self.env)

    def start(self, *, daemon: bool = True) -> "Installation":
        """Start all and wait until the code location is loaded."""
        prepare_dagster_home(Settings.load(self.home, env={}))
        self.start_code_server()
        self.start_webserver()
        if daemon:
            self.start_daemon()
        self.processes.wait_until("the code location loads", self._loaded, 90)
        return self

    def start_code_server(self) -> Running:
        """As deployed: `dagster code-server start`. Waits for its health check, the one of the compose file."""
        command: list[str | Path] = [
            BIN / "dagster",
            "code-server",
            "start",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.code_port),
        ]
        one = self._start("code-server", [*command, "-m", self.module, "--location-name", LOCATION])
        self.processes.wait_until("the code server serves", lambda: self._code_server_healthy(one), 90, every=0.5)
        return one

    def start_webserver(self) -> Running:
        arguments = ["-h", "127.0.0.1", "-p", str(self.port), "-w", str(self._workspace())]
        return self._start("webserver", [*self._service("webserver"), *arguments])

    def start_daemon(self) -> Running:
        return self._start("daemon", [*self._service("daemon"), "run", "-w", str(self._workspace())])

    def stop(self, name: str) -> None:
        self.processes.stop(self._by_name.pop(name))

    def kill(self, name: str) -> None:
        """Without warning, as a lost machine does."""
        self.processes.kill(self._by_name.pop(name))

    def wait_for_run(self, run_id: str, seconds: float = 60) -> Run:
        """The run, ended."""

        def ended() -> Run | None:
            run = self.graphql.run(run_id)
            return run if run.ended else None

        return self.processes.wait_until(f"run {run_id} ends", ended, seconds, every=0.5)

    def wait_for_job(self, job: str, seconds: float = 60, *, count: int = 1) -> list[Run]:
        """``count`` or more runs of ``job``, all ended."""

        def ended() -> list[Run] | None:
            runs = self.graphql.runs(job)
            return runs if len(runs) >= count and all(run.ended for run in runs) else None

        return self.processes.wait_until(f"{count} runs of {job} end", ended, seconds, every=0.5)

    def trading(self, *arguments: str, seconds: float = 480) -> "subprocess.CompletedProcess[str]":
        """The `trading` command on this home, to its end."""
        return subprocess.run(
            [BIN / "trading", *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def _start(self, name: str, command: list[str | Path]) -> Running:
        self.dagster_home.mkdir(parents=True, exist_ok=True)
        self._by_name[name] = self.processes.start(name, command, self.environment)
        return self._by_name[name]

    def _service(self, name: str) -> list[str | Path]:
        if name not in self.clocks:
            return [BIN / f"dagster-{name}"]
        distance = (self.clocks[name] - dt.datetime.now(dt.UTC)).total_seconds()
        return [sys.executable, "-P", AT, str(self._offsets.setdefault(name, distance)), name]

    def _workspace(self) -> Path:
        """Outside the home, as in a deployment: where the code server is."""
        file = self.processes.folder / "workspace.yaml"
        file.write_text(
            f"load_from:\n  - grpc_server: {{host: 127.0.0.1, port: {self.code_port}, location_name: {LOCATION}}}\n"
        )
        return file

    def _code_server_healthy(self, one: Running) -> bool:
        if not one.alive():
            raise AssertionError(f"the code server did not start\n{one.tail(60)}")
        if not listens(self.code_port):
            return False
        from dagster._grpc.client import DagsterGrpcClient

        client = DagsterGrpcClient(port=self.code_port, host="127.0.0.1")
        return bool(client.health_check_query() == "SERVING")  # type: ignore[no-untyped-call]

    def _loaded(self) -> bool:
        return answers(f"{self.url}/server_info") and self.graphql.loaded()
