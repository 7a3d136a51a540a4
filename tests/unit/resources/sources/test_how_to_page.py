"""The how-to page against the configurations."""

import re
from pathlib import Path

import pytest
import yaml

from resources.sources.folder import FolderConfig
from resources.sources.package import PackageConfig

PAGE = Path(__file__).resolve().parents[4] / "docs" / "how-to" / "your-own-files.md"
KINDS = {"folder": FolderConfig, "package": PackageConfig}


def test_every_example_is_a_configuration() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    for block in blocks:
        ((where, given),) = yaml.safe_load(block).items()
        config = KINDS[given["kind"]].model_validate(given)
        assert where == ("daily" if config.step == "1d" else "source")


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_setting_is_told(kind: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert not [name for name in KINDS[kind].model_fields if name not in ("kind", "path") and f"`{name}" not in text]
