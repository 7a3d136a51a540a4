"""Put the locked version of uv under .tools/, with nothing but Python's standard library.

A fresh Debian has neither pip nor venv beside its python3, so the first step cannot lean on them. The version, address and
SHA-256 of the wheel come from uv.lock, like those of every other package.

Usage: python3 deploy/install_uv.py TARGET_FILE
"""

import hashlib
import os
import platform
import sys
import tomllib
import urllib.error
import urllib.request
import zipfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def wheel_tag() -> str:
    """The end of the wheel's file name that fits this machine."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if sys.platform == "linux":
        return f"_{machine}.whl"
    if sys.platform == "darwin":
        return "_arm64.whl" if machine == "aarch64" else "_x86_64.whl"
    sys.exit(f"install_uv: no wheel is known for {sys.platform}/{machine}; install uv by hand and rerun make")


def main(target: Path) -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    package = next(p for p in lock["package"] if p["name"] == "uv")
    system = "manylinux" if sys.platform == "linux" else "macosx"
    wheel = next(w for w in package["wheels"] if system in w["url"] and w["url"].endswith(wheel_tag()))
    print(f"fetching uv {package['version']}", flush=True)
    try:
        with urllib.request.urlopen(wheel["url"], timeout=120) as response:
            content = response.read()
    except urllib.error.URLError as error:
        sys.exit(f"install_uv: cannot fetch {wheel['url']}: {error.reason}. Is the package index reachable?")
    algorithm, _, expected = wheel["hash"].partition(":")
    found = hashlib.new(algorithm, content).hexdigest()
    if found != expected:
        sys.exit(f"install_uv: {wheel['url']} has {algorithm} {found}, uv.lock says {expected}; refusing it")
    with zipfile.ZipFile(BytesIO(content)) as archive:
        member = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        binary = archive.read(member)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}.part")
    partial.write_bytes(binary)
    partial.chmod(0o755)
    partial.replace(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
