"""Lays the stubs out, and holds what the learner wrote against a check, in a bounded process."""

import ast
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from challenges.minimal_service.grading.sandbox.environment import clean_environment
from challenges.minimal_service.grading.sandbox.process import MOST_BYTES, Contained
from challenges.minimal_service.grading.submission.copying import copy_tree, files_in
from challenges.minimal_service.learner_service import NAME
from challenges.tasks import progress
from challenges.tasks.catalogue import STUBS, Task
from challenges.tasks.places import digest, is_written, text_of
from challenges.tasks.progress import Verdict
from learner.errors import LearnerError
from learner.folder import folder
from learner.language import VARIABLE, _, language
from learner.paths import ROOT

CHILD = Path(__file__).with_name("child.py")
MOST_LINES = 5_000
"""Most output; more counts as printing without end."""
MOST_MEMORY = 6 << 30
"""Bytes that all processes of a check may hold."""
SHOWN_LINES = 8
"""Most lines that are shown of what the code printed."""
_LEFT_OUT = ("artifact", "__pycache__")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one check."""

    verdict: Verdict
    printed: list[str]
    """The last lines that the code printed."""
    seconds: float


def own_folder() -> Path:
    """Where the learner writes the service; it may not exist yet."""
    return folder() / NAME


def lay_out() -> list[str]:
    """Put each stub where the learner has no such file yet; the names of those that were put.

    What is there, is left alone, whatever it is.

    Raises:
        LearnerError: the folder cannot be written to.
    """
    path = own_folder()
    made = []
    try:
        path.mkdir(parents=True, exist_ok=True)
        for stub in files_in(STUBS):
            name = stub.relative_to(STUBS)
            if not set(name.parts) & set(_LEFT_OUT) and _put(stub, path / name):
                made.append(name.as_posix())
    except OSError as error:
        sentence = _("Cannot write to {folder}: {reason}. Make room, or move what is in the way.")
        raise LearnerError(sentence.format(folder=path, reason=error.strerror or error)) from None
    return made


def _put(stub: Path, target: Path) -> bool:
    """Copy a file, whole, and only where nothing is: even if something comes in between."""
    if os.path.lexists(target):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        shutil.copyfile(stub, part)
        try:
            os.link(part, target)
        except FileExistsError:
            return False
        except OSError:  # a disk without links
            with target.open("xb") as file:
                file.write(part.read_bytes())
    finally:
        part.unlink(missing_ok=True)
    return True


def check(task: Task, own: Path | None = None) -> Outcome:
    """Hold the learner's code against a task's check, and keep what came out.

    Args:
        task: whose check.
        own: the learner's folder, if it is not the usual one; then nothing is kept.

    Raises:
        LearnerError: a task before it has not passed, or the folder cannot be read.
    """
    path = own_folder() if own is None else own
    if own is not None:
        return run(task, path)
    done = progress.load()
    if missing := [name for name in task.needs if not done.of(name).passed]:
        sentence = _("This task builds on another one. Do this one first: {names}")
        raise LearnerError(sentence.format(names=", ".join(missing)))
    code, written = digest(text_of(path / task.file)), is_written(task, path)
    outcome = run(task, path)
    progress.record(task, code, outcome.verdict, written)
    return outcome


def run(task: Task, path: Path) -> Outcome:
    """Run a task's check on a copy of a folder. Nothing that it started goes on afterwards.

    Raises:
        LearnerError: the folder cannot be copied.
    """
    started = time.monotonic()
    fault = _unreadable(task, path / task.file)
    if fault is not None:
        return Outcome(fault, [], 0.0)
    # Resolved: what the code says of its own place is compared with it.
    temporary = Path(tempfile.mkdtemp(prefix="task-")).resolve()
    try:
        copy, home = temporary / NAME, temporary / "home"
        copy_tree(path, copy, leave_out=path / _LEFT_OUT[0])
        home.mkdir()
        verdict, printed = _run(task, copy, home)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Outcome(verdict, printed, time.monotonic() - started)


def _unreadable(task: Task, file: Path) -> Verdict | None:
    """Why the file cannot even be tried, or None."""
    if not file.is_file():
        found = _("There is no such file in {folder}.").format(folder=file.parent)
        if os.path.lexists(file):
            found = _("{path} is there, but it is no file. Move it away: a new one is laid there.")
        return _wrong(
            task,
            _("Your folder has the file {file}.").format(file=task.file),
            found.format(path=file),
        )
    if file.suffix != ".py":
        return None
    try:
        ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        found = _("It cannot be read as Python: {reason}.")
        look = _("{file}, line {line}") if line else "{file}"
        return _wrong(
            task,
            _("{file} is Python code.").format(file=task.file),
            found.format(reason=getattr(error, "msg", None) or error),
            look.format(file=task.file, line=line),
        )
    return None


def _run(task: Task, copy: Path, home: Path) -> tuple[Verdict, list[str]]:
    result = home / "result.json"
    command = [sys.executable, "-P", str(CHILD), task.id, str(copy)]
    environment = {
        **clean_environment(Path(sys.executable), home),
        VARIABLE: language(),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with Contained([*command, str(result)], environment, copy, [copy, home], MOST_BYTES) as process:
        verdict = _watch(task, process)
        status = process.wait(0)
        process.kill()  # and hear its last words
        printed = [line.text for line in process.lines][-SHOWN_LINES:]
        if verdict is None and process.fault is not None:
            verdict = _wrong(task, _("The code ends by itself."), str(process.fault))
    if verdict is not None:
        return verdict, printed
    try:
        return Verdict(**json.loads(result.read_bytes())), printed
    except (OSError, ValueError, TypeError):  # it ended the process, or threw the folder away
        found = _(
            "The code ended the whole process, with exit status {status}, or deleted the result "
            "of the check."
        )
        return _wrong(
            task,
            _("The code runs until the check has looked at it."),
            found.format(status=status),
        ), printed


def _watch(task: Task, process: Contained) -> Verdict | None:
    """Wait for its end; a verdict if it had to be ended."""
    expected = _("The code ends by itself, within {seconds} s.").format(seconds=task.seconds)
    while process.wait(0.1) is None:
        if process.said > MOST_LINES:
            found = _("It prints without end: more than {lines:,} lines. It was ended.")
            return _wrong(task, expected, found.format(lines=MOST_LINES))
        if process.seconds > task.seconds:
            found = _("After {seconds} s it was still running. It was ended.")
            return _wrong(task, expected, found.format(seconds=task.seconds))
        if _memory(process) > MOST_MEMORY:
            found = _("It took more than {gigabytes} GB of memory. It was ended.")
            return _wrong(task, expected, found.format(gigabytes=MOST_MEMORY >> 30))
    return None


def _memory(process: Contained) -> int:
    with contextlib.suppress(psutil.Error):
        children = psutil.Process(process.group).children(recursive=True)
        return sum(child.memory_info().rss for child in children)
    return 0


def _wrong(task: Task, expected: str, found: str, look: str | None = None) -> Verdict:
    return Verdict(passed=False, expected=expected, found=found, look=look or task.file)
