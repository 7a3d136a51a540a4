"""The documentation against the code: links, commands, settings, errors, examples."""

import ast
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import click
import pytest
import yaml
from pydantic import BaseModel

from trading.accounts import AccountConfig, BreakerLimits, Limits
from trading.errors import TradingError
from trading.lab.axes import Axis
from trading.lab.config import SweepConfig
from trading.replay import ReplayConfig
from trading.risk.gates import GATES
from trading.strategies import Params, get_strategy, registered_strategies
from trading.variants import Variant
from trading_assets.cli import trading
from trading_assets.settings import AlertSettings, Settings, StorageSettings
from trading_assets.universes import Universe

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "deploy" / "README.md"])
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"(?<![\w/.-])trading ((?:--)?[a-z][^`\n#]*)")


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _blocks(page: Path, language: str) -> list[str]:
    return [body for found, body in _FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def _anchors(page: Path) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        if not file.exists():
            broken.append(f"{link}: no such file")
        elif anchor and anchor not in _anchors(file):
            broken.append(f"{link}: no such heading, there are {sorted(_anchors(file))}")
    assert not broken


def _mentioned(page: Path) -> Iterator[tuple[str, bool]]:
    """What follows `trading` in code, and whether it is a line to run rather than a name in a sentence."""
    text = page.read_text(encoding="utf-8")
    for language, body in _FENCE.findall(text):
        if language in ("", "sh", "bash"):
            yield from ((found, True) for line in body.splitlines() for found in _COMMAND.findall(line))
    for inline in re.findall(r"`([^`\n]+)`", _FENCE.sub("", text)):
        if inline.startswith("trading "):
            yield from ((found, False) for found in _COMMAND.findall(inline))


def _command(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that ``words`` name, and its arguments."""
    found: click.Command = trading
    rest = list(words)
    while isinstance(found, click.Group) and rest and not rest[0].startswith("-"):
        following = found.get_command(click.Context(found), rest[0])
        assert following is not None, f"there is no command {rest[0]!r} in {found.name}"
        found, rest = following, rest[1:]
    return found, rest


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_commands_and_their_options_exist(page: Path) -> None:
    for mention, to_run in _mentioned(page):
        try:
            words = shlex.split(mention.replace("[", " ").replace("]", " "))
        except ValueError:
            words = mention.split()
        if not words or words[0].isupper() or words[0].endswith((",", ";")):
            continue  # `trading COMMAND --help`
        command, arguments = _command(words)
        known = {"--help", *(name for option in command.params for name in option.opts)}
        unknown = [word for word in arguments if word.startswith("--") and word not in known]
        assert not unknown, f"trading {mention}: {unknown} unknown, there are {sorted(known)}"
        needed = {option.opts[0] for option in command.params if isinstance(option, click.Option) and option.required}
        assert not to_run or needed <= set(arguments), f"trading {mention}: it needs {sorted(needed)}"


def _leaves(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _leaves(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


@pytest.mark.parametrize(("path", "command"), list(_leaves(trading, "trading")), ids=lambda value: str(value))
def test_the_reference_has_every_command_and_option(path: str, command: click.Command) -> None:
    lines = [line for line in (DOCS / "reference" / "commands.md").read_text().splitlines() if path in line]
    assert lines, f"{path} is missing"
    for option in command.params:
        name = option.opts[0]
        if name.startswith("--") and name != "--home":
            assert any(name in line for line in lines), f"{path} {name} is missing"


SETTINGS: list[tuple[str, type[Any]]] = [
    ("", Settings), ("storage.", StorageSettings), ("alerts.", AlertSettings),
    ("", AccountConfig), ("", Limits), ("", BreakerLimits),
]  # fmt: skip


@pytest.mark.parametrize(("prefix", "model"), SETTINGS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_reference_has_every_setting(prefix: str, model: type[Any]) -> None:
    text = (DOCS / "reference" / "settings.md").read_text()
    groups = {"home", "configs", "name", "storage", "alerts", "limits", "breakers"}
    missing = [name for name in model.model_fields if name not in groups and f"`{prefix}{name}`" not in text]
    assert not missing


def _kinds(annotation: Any) -> list[type[BaseModel]]:
    """The models of a discriminated union."""
    return [kind for part in get_args(annotation) for kind in _kinds(part)] or (
        [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
    )


def test_the_reference_has_every_key_of_a_universe_and_of_its_sources() -> None:
    text = (DOCS / "reference" / "universes.md").read_text()
    assert not [name for name in Universe.model_fields if name != "name" and f"`{name}`" not in text]
    bars, actions = text.split("## Sources of corporate actions")
    for chapter, feed in ((bars, "source"), (actions, "corporate_actions")):
        kinds = _kinds(Universe.model_fields[feed].annotation)
        assert kinds
        for kind in kinds:
            (name,) = get_args(kind.model_fields["kind"].annotation)
            section = re.search(rf"^### `kind: {name}`.*?(?=^##|\Z)", chapter, re.MULTILINE | re.DOTALL)
            assert section is not None, f"kind {name} has no section"
            missing = [key for key in kind.model_fields if key != "kind" and f"`{key}`" not in section[0]]
            assert not missing, (name, missing)


def test_the_policies_keys_are_in_the_reference() -> None:
    text = (DOCS / "reference" / "settings.md").read_text()

    def keys(content: dict[str, Any]) -> Iterator[str]:
        for name, value in content.items():
            if isinstance(value, dict):
                yield from keys(value)
            else:
                yield name

    policy = yaml.safe_load((ROOT / "configs" / "promotion.yaml").read_text())
    assert not [key for key in keys(policy) if key not in text]


def _errors(kind: type[TradingError]) -> Iterator[type[TradingError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _errors(child)


def test_the_reference_has_every_error() -> None:
    modules = [
        "resources.cancellation", "resources.lake.errors", "resources.lake.lakefs.failures", "resources.lake.publish",
        "resources.ledger", "resources.router",
        "resources.sources", "resources.warehouse", "trading.bars", "trading.features.universe", "trading.orders",
        "trading.ports.broker", "trading_assets.publications",
    ]  # fmt: skip
    defined = {
        name
        for folder in ("trading", "resources", "trading_assets", "jobs", "sensors")
        for file in (ROOT / folder).rglob("*.py")
        for name in re.findall(r"^class (\w+)\(\w*(?:Error|Violation|Refused|Gone)\):", file.read_text(), re.MULTILINE)
        if not name.startswith("_")
    }
    for module in modules:
        import_module(module)
    known = {
        kind.__name__
        for kind in _errors(TradingError)
        if kind.__module__.split(".")[0] in ("trading", "resources") and not kind.__name__.startswith("_")
    }
    text = (DOCS / "reference" / "errors.md").read_text()
    assert not [name for name in sorted(defined | known) if not re.search(rf"\b{name}\b", text)]


def test_every_gate_is_told() -> None:
    text = (DOCS / "concepts" / "orders-and-risk.md").read_text()
    rows = re.findall(r"^\| (\d+) \|", text.split("## Pre-trade gates")[1].split("## ")[0], re.MULTILINE)
    assert rows == [str(number) for number in range(1, len(GATES) + 1)]


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_python_examples_are_python(page: Path) -> None:
    for block in _blocks(page, "python"):
        ast.parse(block)


def test_the_example_variant_is_one() -> None:
    page = DOCS / "how-to" / "write-a-variant.md"
    first, *_ = _blocks(page, "yaml")
    variant = Variant.from_config({"name": "ib_europe", **yaml.safe_load(first)})
    assert variant.label == "IB Europe"
    assert isinstance(variant.replay, ReplayConfig)


def test_the_example_sweep_is_one_and_every_key_is_told() -> None:
    page = DOCS / "how-to" / "sweep-and-robustness.md"
    first, *_ = _blocks(page, "yaml")
    assert len(SweepConfig.model_validate({"name": "example", **yaml.safe_load(first)}).sets()) == 60
    text = page.read_text()
    sections = {model for field in SweepConfig.model_fields.values() for model in _kinds(field.annotation)} - {Axis}
    told = [name for model in (SweepConfig, *sections) for name in model.model_fields if name != "name"]
    assert len(sections) == 5
    assert not [name for name in told if f"`{name}" not in text and f"`{name}`" not in text]
    assert not [name for name in Axis.model_fields if name != "choice" and f"{name}:" not in text]


@pytest.mark.parametrize("file", sorted((ROOT / "configs" / "sweeps").iterdir()), ids=lambda file: file.stem)
def test_the_sweeps_of_the_configs_are_sound(file: Path) -> None:
    from trading.lab.sweep import Trials

    config = SweepConfig.model_validate({"name": file.stem, **yaml.safe_load(file.read_text())})
    variant = yaml.safe_load((ROOT / "configs" / "runs" / f"{config.variant}.yml").read_text())
    assert len(Trials.of(config, Variant.from_config({"name": config.variant, **variant}))) >= 50


@pytest.mark.parametrize("strategy", registered_strategies())
def test_every_parameter_is_told(strategy: str) -> None:
    text = (DOCS / "how-to" / "write-a-variant.md").read_text()
    parameters: type[Params] = get_strategy(strategy).parameters
    assert not [name for name in parameters.model_fields if f"`{name}`" not in text]
