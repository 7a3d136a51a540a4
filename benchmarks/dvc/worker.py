"""DVC's side of the benchmark: reads one JSON request per line, does it, answers with one JSON line.

Runs in DVC's own environment. A request names the ``operation`` and the working ``tree``.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import dvc.api
from dvc.repo import Repo

_open: dict[str, Repo] = {}


def opened(tree: str) -> Repo:
    """The repository of a working tree, opened once."""
    if tree not in _open:
        _open[tree] = Repo(tree)
    return _open[tree]


def create(tree: str, cache: str) -> None:
    repo = Repo.init(tree)
    with repo.config.edit() as settings:
        settings["core"].update(autostage=True, analytics=False, check_update=False)
        settings["cache"].update(dir=cache, type=["hardlink", "copy"])  # no second copy of the bytes
    repo.close()
    repo = opened(tree)
    repo.scm.add([".dvc/config", ".dvc/.gitignore", ".dvcignore"])
    repo.scm.commit("first")


def add(tree: str, paths: list[str]) -> None:
    repo = opened(tree)
    repo.add(paths)
    repo.scm.commit("add")


def commit(tree: str, paths: list[str]) -> None:
    repo = opened(tree)
    for path in paths:
        repo.commit(f"{path}.dvc", force=True)
    repo.scm.commit("commit")


def branch(tree: str, name: str) -> None:
    opened(tree).scm.branch(name)


def checkout(tree: str) -> None:
    Repo(tree).checkout()


def list_files(tree: str, dataset: str) -> int:
    """Lists path and hash of every Parquet file; how many there are.

    From the index of a repository opened anew: ``Repo.ls`` takes tens of times longer.
    """
    index = Repo(tree).index.data["repo"]
    files = [
        ("/".join(key), entry.hash_info.value)
        for key, entry in index.iteritems(prefix=(dataset,))
        if key[-1].endswith(".parquet")
    ]
    return len(files)


def version(tree: str) -> str:
    return str(opened(tree).scm.get_rev())


def past_file(tree: str, path: str, version: str) -> str:
    """The file in the cache."""
    return str(dvc.api.get_url(path, repo=tree, rev=version))


OPERATIONS: dict[str, Callable[..., Any]] = {
    "create": create,
    "add": add,
    "commit": commit,
    "branch": branch,
    "checkout": checkout,
    "list": list_files,
    "version": version,
    "past_file": past_file,
}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what DVC itself prints goes with the errors
    for line in sys.stdin:
        request = json.loads(line)
        os.chdir(request["tree"])
        result = OPERATIONS[request.pop("operation")](**request)
        answers.write(json.dumps(result) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
