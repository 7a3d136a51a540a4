"""Settings: layers, and errors that name the file and the setting."""

from pathlib import Path

import pytest

from trading.errors import ConfigError
from trading_assets.settings import Settings


def test_defaults_live_inside_the_home(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, env={})
    assert settings.lake_uri == f"file://{tmp_path}/lake"
    assert settings.ledger_url == f"sqlite:///{tmp_path}/ledger.db"
    assert settings.calendar == "XNYS"


def test_the_home_wins_over_the_configs_and_the_environment_over_both(tmp_path: Path) -> None:
    (tmp_path / "platform.yaml").write_text("min_coverage: 0.5\nstorage: {ledger: sqlite:///x.db}\n")
    settings = Settings.load(tmp_path, env={"LEDGER_URL": "sqlite:///y.db"})
    assert settings.min_coverage == 0.5
    assert settings.ledger_url == "sqlite:///y.db"


def test_home_comes_from_the_environment(tmp_path: Path) -> None:
    assert Settings.load(env={"TRADING_HOME": str(tmp_path)}).home == tmp_path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("min_coverage: 1.5\n", "min_coverage"),
        ("min_covrage: 0.5\n", "min_covrage"),
        ("last_session: 2001-01-01\n", "before first_session"),
        ("storage: {lakes: x}\n", "storage.lakes"),
        ("- a list\n", "must hold a mapping"),
        ("a: [\n", "is not YAML"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "platform.yaml").write_text(content)
    with pytest.raises(ConfigError, match=r"platform\.yaml") as caught:
        Settings.load(tmp_path, env={})
    assert expected in str(caught.value)
