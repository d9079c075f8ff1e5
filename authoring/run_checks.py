"""`make test`: run format, lint, types, lessons and tests, all of them; then report failures.

The checks of one stage run at the same time: most of them wait for a browser or a process, and a
small machine has two cores. The last stage runs alone, because its tests measure times; it contains
every test that no earlier stage contains.
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
# Each cell of each lesson, in every language, compared with its stored (English) output.
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
    # Last: people look for its closing line.
    {"all other tests": ["pytest", *(f"--ignore={folder}" for folder in (*PAGES, *CODE))]},
]


def main() -> int:
    """Run every check; print the names of those that failed."""
    failed = [name for stage in STAGES for name in run_stage(stage)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def run_stage(stage: dict[str, list[str]]) -> list[str]:
    """Run the checks of a stage at the same time; return the names of those that failed.

    The output of the first is shown as it comes, that of the others when they are done.

    Args:
        stage: name → module and arguments for `python -m`.
    """
    failed = []
    with contextlib.ExitStack() as leave:
        running: list[tuple[str, subprocess.Popen[bytes], IO[bytes] | None]] = []
        for name, command in stage.items():
            print(f"[{name}] {' '.join(command)}", flush=True)
            folder = leave.enter_context(tempfile.TemporaryDirectory())
            # The learner's own language and progress must not matter.
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
