"""Renew requirements.lock and the container's part of it, service/deploy/requirements.txt.

Both have exact versions with hashes, for Python 3.11 to 3.13 at once.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

COMPILE = [
    *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--universal", "--quiet"),
    *("--python-version", "3.11", "--generate-hashes"),
    # One version of each package for all Pythons: the same environment everywhere.
    *("--fork-strategy", "fewest"),
    # The lock file must not depend on this machine's package index.
    *("--no-emit-index-url", "--no-emit-find-links"),
]
LOCK = ["--all-extras", "--no-header", "--output-file", "requirements.lock"]
CONTAINER = [
    *("--constraint", "requirements.lock", "--no-annotate"),
    *("--custom-compile-command", "make lock"),
    *("--output-file", "service/deploy/requirements.txt"),
]

if __name__ == "__main__":
    sys.exit(
        subprocess.call([*COMPILE, *LOCK], cwd=ROOT)
        or subprocess.call([*COMPILE, *CONTAINER], cwd=ROOT)
    )
