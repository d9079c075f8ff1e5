"""Renew requirements.lock and what the container installs of it (service/deploy/requirements.txt).

Exact versions with hashes, for Python 3.11 to 3.13 at once.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

COMPILE = [
    *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--universal", "--quiet"),
    *("--python-version", "3.11", "--generate-hashes"),
    # One version of each package for all Pythons, so that they all see the same environment.
    *("--fork-strategy", "fewest"),
    # A lock file names packages, not where one machine happens to get them from.
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
