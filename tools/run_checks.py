"""What `make test` runs: format, lint, types, tests. All of them, then the exit status."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECKS = {
    "format": ["ruff", "format", "--check", "--quiet", "."],
    "lint": ["ruff", "check", "--quiet", "."],
    "types": ["mypy"],
    "tests": ["pytest"],  # last: its closing line is the one that people look for
}


def main() -> int:
    """Run every check, say which failed."""
    failed = []
    for name, command in CHECKS.items():
        print(f"[{name}] {' '.join(command)}", flush=True)
        if subprocess.call([sys.executable, "-m", *command], cwd=ROOT, env=os.environ) != 0:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
