"""Grades the learner's service again whenever its code changes."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from challenges.minimal_service.learner_service import code_digest, fingerprints
from learner.language import _
from learner.paths import ROOT

POLL_S = 1.0
CALM_MS = 800
"""Editors save in several steps: a change counts after this time without another."""
INTERRUPTED = 130


def watch(
    folder: Path, grade: Callable[[], int], changes: Iterator[None], graded: str | None = None
) -> None:
    """Grade at each change of the code until `changes` end, and at once unless it is `graded`.

    Args:
        folder: the learner's service.
        grade: grades it and returns the exit status.
        changes: yields when something in the folder may have changed.
        graded: digest of the code of the last grade, if there was one.
    """
    digest = code_digest(fingerprints(folder))
    if digest != graded:
        grade()
    graded = digest
    for _change in changes:
        while (digest := code_digest(fingerprints(folder))) != graded:
            graded = digest  # before the grade, during which the code may change again
            print(_("A change. It is graded."), flush=True)
            grade()
            print(_("Waiting for the next change. Ctrl+C ends it."), flush=True)


def grade_quickly(folder: Path) -> int:
    """Run a quick grade in a process of its own; return its exit status.

    On Ctrl+C the grader gets time to end what it has started.
    """
    command = [sys.executable, "-m", "challenges", "grade", str(folder), "--quick"]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        return process.wait()
    except KeyboardInterrupt:
        try:
            process.wait(60)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
            process.wait()
        raise


def changes_in(folder: Path, poll: bool = False) -> Iterator[None]:
    """Yield whenever something in a folder may have changed.

    The operating system reports changes through watchfiles. If it cannot (too many watches, a
    network drive, no such package), the folder is polled once per second.

    Args:
        folder: to be watched, with all folders in it.
        poll: do not ask the operating system.
    """
    if not poll:
        try:
            from watchfiles import watch as watch_files

            for _changed in watch_files(
                folder, debounce=CALM_MS, ignore_permission_denied=True, raise_interrupt=True
            ):
                yield
        except (ImportError, OSError, RuntimeError):
            print(_("The system does not tell of changes, so the folder is polled."), flush=True)
    while True:
        time.sleep(POLL_S)
        yield
