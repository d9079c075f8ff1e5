"""What `make test` runs: format, lint, types, lessons, tests. All of them, then the exit status."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECKS = {
    "format": ["ruff", "format", "--check", "--quiet", "."],
    "lint": ["ruff", "check", "--quiet", "."],
    "types": ["mypy"],
    # Each cell of each lesson, in every language, against its stored output (which is English).
    "lessons": [
        *("pytest", "--nbval", "--nbval-current-env", "--nbval-cell-timeout", "120", "--quiet"),
        *("-p", "no:cacheprovider", "notebooks/en", "notebooks/ja", "notebooks/id"),
    ],
    "tests": ["pytest"],  # last: its closing line is the one that people look for
}


def main() -> int:
    """Run every check, say which failed."""
    failed = []
    for name, command in CHECKS.items():
        print(f"[{name}] {' '.join(command)}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            # Whoever runs this may be a learner, with a language and progress of their own.
            settings = {"WORKSHOP_LANGUAGE": "en", "WORKSHOP_FOLDER": folder}
            environment = {**os.environ, **settings}
            if subprocess.call([sys.executable, "-m", *command], cwd=ROOT, env=environment) != 0:
                failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
