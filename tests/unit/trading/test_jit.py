"""Compiled code on disk is that of the sources as they are now."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RULES = "from trading.jit import jit\n\n@jit(forceinline=True)\ndef rule(x):\n    return x + {}\n"
KERNEL = """
import numba
from trading.jit import jit
from {package}.rules import rule

@jit({signature})
def run(x):
    return rule(x) * 10
"""


@pytest.mark.slow
@pytest.mark.parametrize("signature", ["", "numba.int64(numba.int64)"], ids=["when called", "when imported"])
def test_a_rule_that_changed_in_another_file_is_compiled_anew(tmp_path: Path, signature: str) -> None:
    """numba looks at the file of the outermost function alone, and would go on with the old rule."""
    package = tmp_path / "rulebook"
    package.mkdir()
    (package / "__init__.py").touch()
    kernel = package / "kernel.py"
    kernel.write_text(KERNEL.format(package="rulebook", signature=signature))
    code = "from rulebook.kernel import run; print(run(1), sum(run.stats.cache_hits.values()), len(run.stats.cache_misses))"

    def run() -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"},
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    (package / "rules.py").write_text(RULES.format(1))
    assert run()[0] == "20"
    assert run()[:2] == ["20", "1"]  # from the disk
    (package / "rules.py").write_text(RULES.format(2))
    assert run()[0] == "30"
    (package / "rules.py").write_text(RULES.format(1))
    assert run()[0] == "20"


def test_what_several_processes_lack_is_compiled_once(tmp_path: Path) -> None:
    """One compiles, the others wait and take it from the disk."""
    package = tmp_path / "shared"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "rules.py").write_text(RULES.format(1))
    (package / "kernel.py").write_text(KERNEL.format(package="shared", signature=""))
    code = (
        "import sys; sys.stdin.readline()\n"
        "from shared.kernel import run\n"
        "print(run(1), sum(run.stats.cache_misses.values()), sum(run.stats.cache_hits.values()))"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=240) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    assert sorted(out.split() for out, _ in said) == [["20", "0", "1"], ["20", "0", "1"], ["20", "1", "0"]]


def test_a_process_that_dies_or_fails_while_it_compiles_keeps_nobody_waiting_for_ever(tmp_path, monkeypatch) -> None:
    from trading import jit

    turn, other = jit._Turn(tmp_path / "lock"), jit._Turn(tmp_path / "lock")
    turn.take()
    turn.take()
    turn.give_back()
    monkeypatch.setattr(jit, "_LOOKS", 4)
    begun = time.monotonic()
    other.take()  # goes on without the lock
    assert 0.2 <= time.monotonic() - begun < 5
    other.give_back()
    turn.give_back()
    begun = time.monotonic()
    other.take()
    assert time.monotonic() - begun < 0.2
    other.give_back()
