"""``python -m benchmarks.lake``: measures the embedded lake and its peers, and prints the tables."""

import argparse
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.lake import claims, comparison
from benchmarks.lake.machine import machine
from benchmarks.lake.peer import Peer
from benchmarks.lake.peers import dvc_files
from benchmarks.lake.peers.embedded import Embedded
from benchmarks.lake.peers.git_files import GitFiles
from benchmarks.lake.peers.plain_files import PlainFiles
from benchmarks.lake.report import as_markdown, as_text
from benchmarks.lake.results import Results

ROOT = Path(__file__).resolve().parents[2]
PEERS = ("plain", "git", "dvc", "delta")


def main() -> None:
    arguments = _arguments()

    def say(what: str) -> None:
        print(f"... {what}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix=".bench-", dir=arguments.directory) as name, ExitStack() as ends:
        directory = Path(name).resolve()
        about = machine(directory)
        (directory / "claims").mkdir()
        sizes = claims.QUICK if arguments.quick else claims.FULL
        claimed = list(claims.claims(directory / "claims", sizes, say))
        shutil.rmtree(directory / "claims")
        results = Results()
        found = ends.enter_context(_peers(directory, arguments.peers, say))
        compared = comparison.QUICK if arguments.quick else comparison.FULL
        comparison.Comparison(found, compared, results, say).run()
    print((as_markdown if arguments.markdown else as_text)(results, claimed, about))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lake", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, its figures mean nothing")
    parser.add_argument("--markdown", action="store_true", help="the tables as the documentation has them")
    parser.add_argument(
        "--peers", nargs="*", choices=PEERS, default=PEERS, metavar="PEER", help=f"which of {', '.join(PEERS)}"
    )
    parser.add_argument(
        "--directory", type=Path, default=ROOT, help="on the disk that is meant; a temporary one is made inside it"
    )
    return parser.parse_args()


@contextmanager
def _peers(directory: Path, wanted: list[str], say: Callable[[str], None]) -> Iterator[list[Peer]]:
    """The lake, and each wanted peer that is installed; says which is not."""
    with ExitStack() as ends:
        peers: list[Peer] = [Embedded(directory / "lake")]
        if "plain" in wanted:
            peers.append(PlainFiles(directory / "plain"))
        if "git" in wanted:
            if shutil.which("git"):
                peers.append(GitFiles(directory / "git"))
            else:
                say("git skipped: the command is not there")
        if "dvc" in wanted:
            if dvc_files.installed() and shutil.which("git"):
                process = dvc_files.DvcProcess(directory / "dvc-home")
                ends.callback(process.close)
                peers.extend(way(directory / f"dvc-{way.__name__}", process) for way in dvc_files.WAYS)
            else:
                say("DVC skipped: its environment .tools/dvc is not there; make bench installs it")
        if "delta" in wanted:
            if importlib.util.find_spec("deltalake"):
                from benchmarks.lake.peers.delta import DeltaAddFile, DeltaAppend

                peers += [DeltaAddFile(directory / "delta-files"), DeltaAppend(directory / "delta-append")]
            else:
                say("Delta skipped: deltalake is not installed; make bench installs it")
        for peer in peers:
            ends.callback(peer.close)
        yield peers


if __name__ == "__main__":
    main()
