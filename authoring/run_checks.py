"""Run the checks of the repository: all of them (`make test`), or those of a change (`make check`).

`make test` runs format, lint, types, lessons and tests in stages. The checks of one stage run at
the same time: most of them wait for one core, for a browser or for a process, and a small machine
has two cores. The last stage has what measures times; its last check takes every test that no other
check names.

`make check` asks git what changed, and runs format, lint, types and the fast tests of that within
two minutes.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Each cell of each lesson against its stored output. The code of the lessons in other languages is
# the same, byte for byte (tests/authoring/translations/test_generate.py).
NBVAL = [
    *("pytest", "--nbval", "--nbval-current-env", "--nbval-cell-timeout", "120", "--quiet"),
    *("-p", "no:cacheprovider"),
]
LESSONS = [
    path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "notebooks/en").glob("*.ipynb"))
]
PAGES = ["tests/notebooks", "tests/authoring", "tests/challenges/tasks"]
CODE = ["tests/service", "tests/learner", "tests/selftest", "tests/test_repository.py"]
QUIZ = ["tests/quizzes"]
FORMAT_AND_LINT = {
    "format": ["ruff", "format", "--check", "--quiet", "."],
    "lint": ["ruff", "check", "--quiet", "."],
}
STAGES = [
    FORMAT_AND_LINT,
    {
        "lessons": [*NBVAL, *LESSONS],
        "types": ["mypy"],
    },
    {"tests of pages and tasks": ["pytest", *PAGES], "tests of code": ["pytest", *CODE]},
    {
        "tests of the quiz": ["pytest", *QUIZ],
        # Last: its closing line is the one that people look for.
        "all other tests": ["pytest", *(f"--ignore={path}" for path in (*PAGES, *CODE, *QUIZ))],
    },
]


CHECK_SECONDS = 120.0
"""Time limit of `make check` in seconds."""
GRACE_SECONDS = 15.0
"""Time in seconds after the limit in which the test that is running may finish."""
MOST_FAILURES = 3
"""Number of failures that end the tests of `make check`."""
LEFT_TO_MAKE_TEST = "tests in a browser, lessons against stored outputs (nbval), tests/performance"


def main(arguments: list[str] | None = None) -> int:
    """Run the checks that the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description="Check the repository.")
    parser.add_argument(
        "--changed", action="store_true", help="only what changed in git, within two minutes"
    )
    if parser.parse_args(arguments).changed:
        return check_changes()
    failed = [name for stage in STAGES for name in run_stage(stage)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def run_stage(stage: dict[str, list[str]]) -> list[str]:
    """Run the checks of a stage at the same time; return the names of those that failed.

    The output of the first is shown as it comes, that of the others when they are done.
    """
    failed = []
    with contextlib.ExitStack() as leave:
        running: list[tuple[str, subprocess.Popen[bytes], IO[bytes] | None]] = []
        for name, command in stage.items():
            print(f"[{name}] {' '.join(command)}", flush=True)
            output: IO[bytes] | None = None
            if running:
                output = leave.enter_context(tempfile.TemporaryFile())
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=ROOT,
                env={**os.environ, **leave.enter_context(use_no_learners_settings())},
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
            )
            running.append((name, leave.enter_context(process), output))
        for name, process, output in running:
            if process.wait() != 0:
                failed.append(name)
            if output is not None:
                print(f"[{name}]", flush=True)
                output.seek(0)
                shutil.copyfileobj(output, sys.stdout.buffer)
                sys.stdout.flush()
    return failed


@contextlib.contextmanager
def use_no_learners_settings() -> Iterator[dict[str, str]]:
    """Yield environment variables that hide the language and the progress of a learner."""
    with tempfile.TemporaryDirectory() as folder:
        # A lesson speaks the language of its folder, all else English.
        yield {"WORKSHOP_LANGUAGE": "", "WORKSHOP_FOLDER": folder}


def check_changes() -> int:
    """Run format, lint, types and the fast tests of what changed; return the exit status."""
    deadline = time.monotonic() + CHECK_SECONDS
    changed = list_changes(ROOT)
    tests = choose_tests(changed, ROOT)
    print(f"{len(changed)} changed files, {len(tests)} test files", flush=True)
    failed = run_stage(FORMAT_AND_LINT)
    not_run = []
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen([sys.executable, "-m", "mypy"], cwd=ROOT, stdout=output) as types,
    ):
        if tests:
            watch = DeadlineWatch(deadline)
            if not watch.run_pytest(tests):
                failed.append("tests")
            not_run = watch.list_waiting()
        try:
            if types.wait(max(0.0, deadline + GRACE_SECONDS - time.monotonic())) != 0:
                failed.append("types")
        except subprocess.TimeoutExpired:
            types.terminate()
            not_run.insert(0, "types")
        output.seek(0)
        print(f"[types] {output.read().decode().strip()}")
    if not_run:
        limits = f"limit {CHECK_SECONDS:g} s, stopped by {MOST_FAILURES} failures"
        print(f"not run to the end ({limits}): {', '.join(not_run)}")
    print(f"left to make test: {LEFT_TO_MAKE_TEST}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def list_changes(root: Path) -> list[str]:
    """Return the files that differ from the main branch's merge base, relative to `root`.

    Uncommitted and untracked files are among them. If nothing differs, return the files of the
    last commit.
    """

    def git(*command: str) -> list[str]:
        done = subprocess.run(["git", *command], cwd=root, capture_output=True, text=True)
        return [line for line in done.stdout.split("\0") if line] if done.returncode == 0 else []

    diff = ("diff", "--name-only", "--no-renames", "-z")
    bases = (git("merge-base", "HEAD", name) for name in ("main", "master", "origin/main"))
    base = next((base[0].strip() for base in bases if base), "HEAD")
    changed = [*git(*diff, base), *git("ls-files", "--others", "--exclude-standard", "-z")]
    return sorted(set(changed or git(*diff, "HEAD~1")))


def choose_tests(changed: Iterable[str], root: Path) -> list[str]:
    """Return the test files of changed files, those with the same name first.

    A test stands for itself. service/gpu/staging.py has tests/service/gpu/test_staging.py; a file
    without such a test has those of its folder, else of the next folder above that has any.
    """
    named: set[str] = set()
    others: set[str] = set()
    for path in map(Path, changed):
        mirror = Path() if path.parts[0] == "tests" else Path("tests")
        test = mirror / path.parent / f"test_{path.stem.strip('_')}.py"
        if mirror == Path() and path.name.startswith("test_"):
            test = path
        if (root / test).is_file():
            named.add(test.as_posix())
        elif test != path:
            others.update(_find_tests_near(mirror / path.parent, root))
    return [
        test
        for test in [*sorted(named), *sorted(others - named)]
        if not test.startswith("tests/performance/") and not test.endswith("test_nbval.py")
    ]


def _find_tests_near(folder: Path, root: Path) -> list[str]:
    """Return the tests directly in `folder`, or the one named after it, or those further up."""
    while folder != Path():
        own_name = folder.with_name(f"test_{folder.name}.py")
        tests = sorted((root / folder).glob("test_*.py")) or [root / own_name]
        if tests[0].is_file():
            return [test.relative_to(root).as_posix() for test in tests]
        folder = folder.parent
    return []


class DeadlineWatch:
    """A plugin of pytest that leaves out tests in a browser and starts no test after a deadline."""

    def __init__(self, deadline: float) -> None:
        """Stop at `deadline`, in seconds of the monotonic clock."""
        self._deadline = deadline
        self._failed = False
        self._waiting: dict[str, str] = {}

    def run_pytest(self, tests: list[str]) -> bool:
        """Run test files in this process until the deadline or MOST_FAILURES failures.

        A test that still runs some seconds after the deadline is interrupted as by Ctrl-C.

        Returns:
            Whether no test failed before that.
        """
        limit = self._deadline + GRACE_SECONDS - time.monotonic()
        timer = threading.Timer(max(0.0, limit), os.kill, (os.getpid(), signal.SIGINT))
        timer.daemon = True
        timer.start()
        try:
            with use_no_learners_settings() as settings:
                os.environ.update(settings)
                os.chdir(ROOT)
                status = pytest.main(
                    [f"--maxfail={MOST_FAILURES}", "--quiet", *tests], plugins=[self]
                )
        finally:
            timer.cancel()
        if status == pytest.ExitCode.INTERRUPTED and time.monotonic() > self._deadline:
            return not self._failed
        return status in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)

    def list_waiting(self) -> list[str]:
        """Return the test files of which not every test was run."""
        return sorted(set(self._waiting.values()))

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Leave out the tests that use a browser."""
        slow = [item for item in items if "browser" in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
        self._waiting = {item.nodeid: item.nodeid.partition("::")[0] for item in items}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that cannot be collected."""
        self._failed |= report.failed

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure."""
        self._failed |= report.failed

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Note that a test was run."""
        self._waiting.pop(nodeid, None)

    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Make this test the last one if the deadline has passed."""
        if time.monotonic() > self._deadline:
            item.session.shouldstop = f"{CHECK_SECONDS:g} s are over"


if __name__ == "__main__":
    sys.exit(main())
