"""What `make test` runs: format, lint, types, lessons, tests. All of them, then the exit status.

The checks of one stage run at the same time: most of them wait for one core, for a browser or for
a process, and a small machine has two cores. The last stage is for those that measure times, each
alone; a test that is not named before it is in it.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
# Each cell of each lesson, in every language, against its stored output (which is English).
NBVAL = [
    *("pytest", "--nbval", "--nbval-current-env", "--nbval-cell-timeout", "120", "--quiet"),
    *("-p", "no:cacheprovider"),
]
LESSONS = [
    path.relative_to(ROOT).as_posix()
    for language in ("en", "ja", "id")
    for path in sorted((ROOT / "notebooks" / language).glob("*.ipynb"))
]
PAGES = ["tests/notebooks/panel", "tests/notebooks", "tests/authoring"]
CODE = ["tests/service", "tests/learner"]
STAGES = [
    {"format": ["ruff", "format", "--check", "--quiet", "."]},
    {"lint": ["ruff", "check", "--quiet", "."]},
    {
        "lessons, first half": [*NBVAL, *LESSONS[: len(LESSONS) // 2]],
        "lessons, second half": [*NBVAL, *LESSONS[len(LESSONS) // 2 :]],
        "types": ["mypy"],
    },
    {"tests of pages": ["pytest", *PAGES], "tests of code": ["pytest", *CODE]},
    # Last: its closing line is the one that people look for.
    {"all other tests": ["pytest", *(f"--ignore={folder}" for folder in (*PAGES, *CODE))]},
]


def main() -> int:
    """Run every check, say which failed."""
    failed = [name for stage in STAGES for name in failures(stage)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def failures(stage: dict[str, list[str]]) -> list[str]:
    """Run the checks of a stage at the same time; the names of those that failed.

    The output of the first is shown as it comes, that of the others when they are done.
    """
    failed = []
    with contextlib.ExitStack() as leave:
        running: list[tuple[str, subprocess.Popen[bytes], IO[bytes] | None]] = []
        for name, command in stage.items():
            print(f"[{name}] {' '.join(command)}", flush=True)
            folder = leave.enter_context(tempfile.TemporaryDirectory())
            # Whoever runs this may be a learner, with a language and progress of their own.
            settings = {"WORKSHOP_LANGUAGE": "en", "WORKSHOP_FOLDER": folder}
            kept: IO[bytes] | None = None
            if running:
                kept = leave.enter_context(tempfile.TemporaryFile())
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env={**os.environ, **settings},
                stdout=kept,
                stderr=subprocess.STDOUT if kept else None,
            )
            running.append((name, leave.enter_context(process), kept))
        for name, process, kept in running:
            if process.wait() != 0:
                failed.append(name)
            if kept is not None:
                print(f"[{name}]", flush=True)
                kept.seek(0)
                shutil.copyfileobj(kept, sys.stdout.buffer)
                sys.stdout.flush()
    return failed


if __name__ == "__main__":
    sys.exit(main())
