"""Makes `harness` importable: pytest's importlib mode adds nothing to the path, and a dependency ships a package `tests`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
