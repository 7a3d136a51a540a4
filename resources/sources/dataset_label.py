"""What a folder of bars says of itself, in a DATASET.json: that it is made up, for example."""

import json
from pathlib import Path

from resources.sources.errors import SourceError

DATASET_FILE = "DATASET.json"


def read_label(directory: Path) -> str | None:
    """Label of a DATASET.json in ``directory``; None without one. SourceError where it is not what we
    write.
    """
    marker = directory / DATASET_FILE
    if not marker.is_file():
        return None
    try:
        content = json.loads(marker.read_text(encoding="utf-8"))
        return str(content["label"])
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f'{marker}: must be JSON like {{"kind": "synthetic", "label": ...}} ({error!r})') from None
