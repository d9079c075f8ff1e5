"""Renew requirements.lock: exact versions with hashes, for Python 3.11 to 3.13 at once."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if __name__ == "__main__":
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--all-extras"]
    command += ["--universal", "--python-version", "3.11", "--generate-hashes"]
    # One version of each package for all Pythons, so that they all see the same environment.
    command += ["--fork-strategy", "fewest"]
    # A lock file names packages, not where one machine happens to get them from.
    command += ["--no-emit-index-url", "--no-emit-find-links", "--no-header", "--quiet"]
    sys.exit(subprocess.call([*command, "--output-file", "requirements.lock"], cwd=ROOT))
