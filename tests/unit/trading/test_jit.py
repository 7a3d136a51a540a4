"""Compiled code on disk is that of the sources as they are now."""

import os
import subprocess
import sys
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
