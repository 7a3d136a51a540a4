"""What the configs folder says: variants, accounts, sweeps, promotion policy; validated, each file named when wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from trading.errors import ConfigError, TradingError
from trading_assets.settings import Settings, read_yaml

if TYPE_CHECKING:
    from trading.accounts import AccountConfig
    from trading.lab.config import SweepConfig
    from trading.promotion.policy import PromotionPolicy
    from trading.variants import Variant

_Model = TypeVar("_Model")


def variant_names(settings: Settings) -> list[str]:
    """Names of the variants: the files of configs/runs/, so that loading the graph reads no strategy."""
    return _names(settings.configs / "runs")


def account_names(settings: Settings) -> list[str]:
    return _names(settings.configs / "accounts")


def variant(settings: Settings, name: str) -> "Variant":
    from trading.variants import Variant

    return _load(settings.configs / "runs", name, Variant.from_config)


def variant_from(file: Path) -> "Variant":
    """The variant of a run file anywhere, under the file's name unless it says another. ConfigError names file and setting."""
    from trading.variants import Variant

    if file.is_dir():
        raise ConfigError(f"{file} is a folder; give a run file, such as configs/runs/risk1.yml")
    return validated(file, Variant.from_config, {"name": file.stem, **read_yaml(file)})


def account(settings: Settings, name: str) -> "AccountConfig":
    from trading.accounts import AccountConfig

    return _load(settings.configs / "accounts", name, AccountConfig.model_validate)


def readable_accounts(settings: Settings) -> tuple[list["AccountConfig"], list[ConfigError]]:
    """The accounts whose files can be read, and what is wrong with the others: one's fault is never another's."""
    found, wrong = [], []
    for name in account_names(settings):
        try:
            found.append(account(settings, name))
        except ConfigError as error:
            wrong.append(error)
    return found, wrong


def sweep_names(settings: Settings) -> list[str]:
    """Names of the sweeps: the files of configs/sweeps/; an installation may have none."""
    folder = settings.configs / "sweeps"
    return _names(folder) if folder.is_dir() and any(folder.iterdir()) else []


def sweep(settings: Settings, name: str) -> "SweepConfig":
    from trading.lab.config import SweepConfig

    return _load(settings.configs / "sweeps", name, SweepConfig.model_validate)


def sweep_file(file: Path) -> "SweepConfig":
    """A sweep from a file anywhere; it is named after it."""
    from trading.lab.config import SweepConfig

    if file.is_dir():
        raise ConfigError(f"{file} is a folder; give a file, such as configs/sweeps/insidebar_targets.yml")
    return validated(file, SweepConfig.model_validate, {"name": file.stem, **read_yaml(file)})


def promotion_policy(settings: Settings) -> "PromotionPolicy":
    from trading.promotion.policy import PromotionPolicy

    return validated(settings.configs / settings.promotion_policy, PromotionPolicy.model_validate)


def _names(folder: Path) -> list[str]:
    files = sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])
    if not files:
        raise ConfigError(f"{folder} holds no .yml file; at least one is needed")
    return [file.stem for file in files]


def _load(folder: Path, name: str, build: Callable[[dict[str, Any]], _Model]) -> _Model:
    for suffix in (".yml", ".yaml"):
        file = folder / f"{name}{suffix}"
        if file.exists():
            return validated(file, build, {"name": name, **read_yaml(file)})
    raise ConfigError(f"{folder} has no {name}.yml; there are: {', '.join(_names(folder))}")


def validated(file: Path, build: Callable[[dict[str, Any]], _Model], content: dict[str, Any] | None = None) -> _Model:
    """What ``build`` makes of the file, or of ``content``, which came from it. ConfigError names file and setting."""
    try:
        return build(read_yaml(file) if content is None else content)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'file'}: {fault['msg']} (found {fault['input']!r})"
            for fault in error.errors(include_url=False)
        )
        raise ConfigError(f"{file}: {faults}") from None
    except TradingError as error:
        raise ConfigError(f"{file}: {error}") from error
