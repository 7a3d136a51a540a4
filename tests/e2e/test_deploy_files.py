"""deploy/ holds together: what the compose file mounts, runs and passes on exists and is what the configuration asks for.

There is no container engine in the tests: commands are checked against the programs of this environment, dagster.yaml
on a PostgreSQL of its own (tests/integration/test_postgres_deployment.py).
"""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from harness.processes import BIN, ROOT, clean_environment

from jobs.groups import JOB_TAG, group_jobs
from trading_assets.cli import trading

DEPLOY = ROOT / "deploy"
OURS = ("code-server", "webserver", "daemon")
_VARIABLE = re.compile(r"\$\{([A-Z_]+)(?P<rule>:[-?])?(?P<text>[^}]*)\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DEPLOY / "docker-compose.yaml").read_text())
    return content


def _asked_for(file: str) -> set[str]:
    """Variables that a Dagster file reads by `{env: NAME}`."""

    def walk(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if set(node) == {"env"}:
                yield node["env"]
            for value in node.values():
                yield from walk(value)
        elif isinstance(node, list):
            for value in node:
                yield from walk(value)

    return set(walk(yaml.safe_load((DEPLOY / file).read_text())))


def test_the_services_are_the_four_of_a_deployment(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"postgres", *OURS}
    for name, service in compose["services"].items():
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"][0] == "CMD", name
    assert compose["services"]["postgres"]["image"] == "postgres:18"
    assert [name for name in compose["services"] if "build" in compose["services"][name]] == ["code-server"]


@pytest.mark.parametrize("name", OURS)
def test_each_service_gets_what_its_configuration_asks_for(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    given = set(service["environment"])
    needed = _asked_for("dagster.yaml") | {"DAGSTER_HOME", "TRADING_HOME"}
    if "workspace.yaml" in str(service["command"]):
        needed |= _asked_for("workspace.yaml")
    assert needed <= given
    home = service["environment"]["DAGSTER_HOME"]
    mounted = {target for _, target, *_ in (volume.split(":") for volume in _plain(service["volumes"]))}
    assert {f"{home}/dagster.yaml", service["environment"]["TRADING_HOME"]} <= mounted
    assert service["environment"]["DAGSTER_LOCAL_DIR"].startswith(service["environment"]["TRADING_HOME"])
    assert service["read_only"] and service["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", OURS)
def test_each_command_and_health_check_is_one_that_the_installed_programs_take(
    compose: dict[str, Any], name: str
) -> None:
    service = compose["services"][name]
    for words in (service["command"], service["healthcheck"]["test"][1:]):
        words = [str(word) for word in words]
        if words[0] == "python":
            compile(words[2], "healthcheck", "exec")
            continue
        subcommands = [word for word in words[1:3] if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")]
        help_ = subprocess.run(
            [BIN / words[0], *subcommands, "--help"],
            env=clean_environment(COLUMNS="200"),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        options = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", help_))
        assert {word for word in words if word.startswith("-")} <= options


def test_host_files_that_are_mounted_exist(compose: dict[str, Any]) -> None:
    named = set(compose["volumes"])
    for service in compose["services"].values():
        for volume in _plain(service.get("volumes", [])):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).is_file(), source
            elif source:
                assert source in named, source


def test_secrets_come_from_the_environment_and_the_example_names_them_all(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|SECRET", variable):
                assert re.fullmatch(r"\$\{[A-Z_]+:[-?][^}]*\}", value), f"{name}: {variable}"
    asked = {match[1] for match in _VARIABLE.finditer((DEPLOY / "docker-compose.yaml").read_text())}
    example = dict(
        line.split("=", 1) for line in (DEPLOY / ".env.example").read_text().splitlines() if re.match("[A-Z_]+=", line)
    )
    assert asked == set(example)
    assert {name: value for name, value in example.items() if value} == {"TRADING_IMAGE_TAG": "latest"}
    ignored = subprocess.run(["git", "check-ignore", "-q", "deploy/.env"], cwd=ROOT, check=False).returncode
    assert ignored == 0 or not (ROOT / ".git").exists()


def test_nothing_but_the_ui_is_published_and_that_on_loopback_only(compose: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert ports == {"webserver": ["127.0.0.1:3000:3000"]}


def test_the_limits_leave_a_place_for_the_kill_switch() -> None:
    runs = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())["concurrency"]["runs"]
    backfills = next(limit["limit"] for limit in runs["tag_concurrency_limits"] if limit["key"] == "dagster/backfill")
    of_a_day = group_jobs()
    assert len({(job.tags or {})[JOB_TAG] for job in of_a_day}) == len(of_a_day)
    assert {"key": JOB_TAG, "value": {"applyLimitPerUniqueValue": True}, "limit": 1} in runs["tag_concurrency_limits"]
    assert len(of_a_day) + backfills < runs["max_concurrent_runs"]


def test_the_image_copies_what_is_there_and_runs_as_nobody_special() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    allowed = [line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"]
    instructions = dockerfile.replace("\\\n", " ").splitlines()
    copies = [shlex.split(line)[1:-1] for line in instructions if line.startswith("COPY") and "--from" not in line]
    sources = [source for words in copies for source in words]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(source == kept or source.startswith(f"{kept}/") for kept in allowed), source
    packages = (ROOT / "pyproject.toml").read_text().split("packages = [")[1].split("]")[0]
    assert set(re.findall(r'"(\w+)"', packages)) <= set(sources)
    assert [line for line in instructions if line.startswith("USER")] == ["USER trading"]
    assert "uv sync --locked --no-dev" in dockerfile and "UV_COMPILE_BYTECODE=1" in dockerfile


def _plain(volumes: list[str]) -> list[str]:
    """Mounts with the variables of their host side emptied: what is left is `:target[:mode]`."""
    return [_VARIABLE.sub("", volume) for volume in volumes]


def test_the_operators_page_names_only_files_and_services_that_exist(compose: dict[str, Any]) -> None:
    text = (DEPLOY / "README.md").read_text()
    services = set(compose["services"])
    for command in re.findall(
        r"^docker compose (?:exec(?: -T)?|stop|start|logs(?: -f)?|run(?: --?\S+)*) (\S+)", text, re.M
    ):
        assert command in services
    for name in re.findall(r"`([\w./-]+\.(?:yaml|sh|example))`", text):
        assert (DEPLOY / name).exists() or Path(name).name == "platform.yaml", name


def test_the_commands_of_the_operators_page_are_ones_that_the_platform_takes() -> None:
    lines = re.findall(
        r"^docker compose exec code-server trading (.+?)(?:\s+#.*)?$", (DEPLOY / "README.md").read_text(), re.M
    )
    assert len(lines) >= 4
    for line in lines:
        context, words, command = click.Context(trading), shlex.split(line), None
        while words and isinstance(command or trading, click.Group):
            group = command or trading
            assert isinstance(group, click.Group)
            command = group.get_command(context, words.pop(0))
        assert command is not None, line
        command.make_context(line, words)  # UsageError where an option is missing or unknown
