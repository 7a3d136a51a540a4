"""Settings of one installation: configs/platform.yaml, then <home>/platform.yaml, then the environment."""

import datetime as dt
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from trading.errors import ConfigError

CONFIGS = Path(__file__).resolve().parent.parent / "configs"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StorageSettings(_Model):
    """Where versioned data and the append-only ledger live; null means inside the home.

    ``retention_days``: a collection keeps what ``main`` had within this many days, besides all that is tagged.
    """

    lake: str | None = None
    ledger: str | None = None
    retention_days: int = Field(90, ge=1)


class AlertSettings(_Model):
    """Who is called: a Slack channel, the name of the variable with the bot token, and where links point."""

    channel: str = "#trading-alerts"
    token_env: str = "SLACK_BOT_TOKEN"
    base_url: str = "https://slack.com/api/"
    ui_url: str = "http://127.0.0.1:3000"


def _absolute(value: str | Path) -> Path:
    return Path(value).expanduser().resolve()


class Settings(_Model):
    """Everything that `build_defs` needs to know, validated once.

    Raises:
        ConfigError: through :meth:`load`, naming the file and the setting.
    """

    home: Annotated[Path, BeforeValidator(_absolute)]
    configs: Annotated[Path, BeforeValidator(_absolute)] = CONFIGS
    calendar: str = "XNYS"
    first_session: dt.date = dt.date(2010, 1, 4)
    last_session: dt.date | None = None
    display_timezone: str = "Europe/Berlin"
    label: str | None = None
    min_coverage: float = Field(0.95, ge=0.0, le=1.0)
    storage: StorageSettings = StorageSettings()
    promotion_policy: str = "promotion.yaml"
    approval_days: int = Field(7, ge=1, le=366)
    changed_version: Literal["suspend", "pinned"] = "suspend"
    universes: str = "universes"
    alerts: AlertSettings = AlertSettings()

    @field_validator("changed_version")
    @classmethod
    def _no_pinned_code(cls, value: str) -> str:
        if value == "pinned":
            raise ValueError(
                "going on from pinned code and config is not built: a changed version stops the running one. It must be suspend"
            )
        return value

    @model_validator(mode="after")
    def _ordered(self) -> "Settings":
        if self.last_session is not None and self.last_session < self.first_session:
            raise ValueError(f"last_session {self.last_session} is before first_session {self.first_session}")
        return self

    @property
    def lake_uri(self) -> str:
        return self.storage.lake or f"file://{quote(str(self.home / 'lake'))}"

    @property
    def ledger_url(self) -> str:
        return self.storage.ledger or f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def universes_dir(self) -> Path:
        """The home's own folder of universes where it has one, else that of the configs."""
        own = self.home / self.universes
        return own if own.is_dir() else self.configs / self.universes

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    @property
    def warehouse_path(self) -> Path:
        return self.home / "warehouse.duckdb"

    @property
    def reports_dir(self) -> Path:
        return self.home / "reports"

    @classmethod
    def load(cls, home: Path | None = None, env: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings of ``home`` (default: ``TRADING_HOME``, else ``.trading/demo`` in the working folder).

        ``TRADING_CONFIGS`` names another configs folder; ``LEDGER_URL`` and ``LAKE_URI`` win over the files; the
        former may carry a password, which does not belong in one.
        """
        home = _absolute(home or env.get("TRADING_HOME") or Path(".trading") / "demo")
        configs = _absolute(env.get("TRADING_CONFIGS") or CONFIGS)
        merged: dict[str, Any] = {}
        for file in (configs / "platform.yaml", home / "platform.yaml"):
            merged = _overlay(merged, read_yaml(file) if file.exists() else {})
        storage = dict(merged.get("storage") or {})
        for variable, key in (("LAKE_URI", "lake"), ("LEDGER_URL", "ledger")):
            if env.get(variable):
                storage[key] = env[variable]
        merged["storage"] = storage
        try:
            return cls.model_validate({**merged, "home": home, "configs": configs})
        except ValidationError as error:
            raise ConfigError(f"settings of {home} (platform.yaml there and in {configs}): {_first(error)}") from None


# The parser in C where PyYAML was built with it: every run reads every variant and account of its configuration.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(file: Path) -> dict[str, Any]:
    """A YAML mapping; ConfigError names the file and the line where it is not one."""
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_LOADER)
    except FileNotFoundError:
        raise ConfigError(f"{file} is missing") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} is not YAML: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{file} must hold a mapping (key: value), not a {type(content).__name__}")
    return content


def _overlay(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        merged[key] = _overlay(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _first(error: ValidationError) -> str:
    parts = [
        f"{'.'.join(str(p) for p in e['loc']) or 'settings'}: {e['msg']} (found {e['input']!r})"
        for e in error.errors(include_url=False)
    ]
    return "; ".join(parts)
