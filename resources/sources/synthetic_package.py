"""The synthetic market as a vendor's package of files."""

import json
from pathlib import Path

from resources.sources.dataset_label import DATASET_FILE
from resources.sources.errors import SourceError
from trading.synthetic import SyntheticMarket


def write_package(directory: Path, market: SyntheticMarket | None = None, *, seed: int = 7) -> list[Path]:
    """Write ``{SYMBOL}.parquet`` per Symbol and a DATASET.json that says that it is synthetic.

    The same market gives the same bytes. Columns: Timestamp, Open, High, Low, Close, Volume, extended hours
    included.

    Args:
        directory: made where missing.
        market: default the standard market of ``seed``.
        seed: used without ``market``.

    Returns:
        The files written, DATASET.json last.

    Raises:
        SourceError: where ``directory`` holds anything that is not such a package; real data is never
            overwritten.
    """
    market = market or SyntheticMarket(seed)
    directory.mkdir(parents=True, exist_ok=True)
    _refuse_real_data(directory)
    marker = directory / DATASET_FILE
    content = {
        "kind": "synthetic",
        "label": market.label,
        "seed": market.seed,
        "symbols": market.symbols,
        "first_session": market.sessions[0].isoformat(),
        "last_session": market.sessions[-1].isoformat(),
    }
    # The marker comes first, so that minutes without it never look real.
    _replace(marker, (json.dumps(content, indent=2) + "\n").encode())
    for stale in directory.glob("*.parquet"):
        if stale.stem not in market.symbols:
            stale.unlink()
    written = []
    for symbol, frame in market.frames():
        path = directory / f"{symbol}.parquet"
        partial = directory / f".{symbol}.parquet.partial"
        frame.write_parquet(partial, compression="zstd", statistics=True)
        partial.replace(path)
        written.append(path)
    return [*written, marker]


def write_corporate_actions(file: Path, market: SyntheticMarket) -> None:
    """The market's splits as CSV in the columns of the dataset ``corporate_actions``."""
    file.parent.mkdir(parents=True, exist_ok=True)
    _replace(file, market.corporate_actions.write_csv().encode())


def _refuse_real_data(directory: Path) -> None:
    if (directory / DATASET_FILE).is_file() or not any(directory.iterdir()):
        return
    raise SourceError(
        f"{directory} is not empty and has no {DATASET_FILE}; a synthetic package needs a folder of its own"
    )


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
