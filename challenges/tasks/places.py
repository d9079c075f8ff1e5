"""Where a task's code stands in its file: all of it, or what follows the task's mark.

A file that several tasks share has a mark for each, `# task: NAME`; its place goes on to the next
mark (`# end` is one, too), or to the end of the file.
"""

import ast
import hashlib
import os
import re
import textwrap
import warnings
from contextlib import suppress
from pathlib import Path

from challenges.tasks.catalogue import SOLUTIONS, STUBS, Task


def text_of(file: Path) -> str:
    """A file's text; empty where there is none, or none that can be read."""
    try:
        # A pipe of that name would be read for ever.
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    except OSError:
        return ""


def place(text: str, name: str) -> str | None:
    """The lines after a task's mark, up to the next one; None where it has no mark."""
    marks = rf"^[ \t]*# task: {re.escape(name)}[ \t]*\n(.*?)(?=^[ \t]*# (?:task: |end\b)|\Z)"
    found = re.search(marks, text, re.MULTILINE | re.DOTALL)
    return found[1] if found else None


def is_written(task: Task, folder: Path) -> bool:
    """Whether the learner has changed anything of what the stub had there."""
    file = folder / task.file
    if os.path.lexists(file) and not file.is_file():
        return True  # a folder of that name, for example: the check says so
    own, stub = (text_of(path / task.file) for path in (folder, STUBS))
    if not own:
        return False
    here, there = (place(text, task.id) for text in (own, stub))
    if here is None or there is None:
        return digest(own) != digest(stub)
    return _code_lines(here) != _code_lines(there)


def digest(text: str) -> str:
    """A short digest of what code does: comments and layout do not count."""
    content = "\n".join(_code_lines(text))
    # What is not Python yet, while it is written, is taken as it is.
    unreadable = suppress(SyntaxError, ValueError, RecursionError, MemoryError)
    with unreadable, warnings.catch_warnings(action="ignore"):
        content = ast.dump(ast.parse(text))
    return hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:12]


def solution_of(task: Task) -> str:
    """The solution's code for a task, as it is printed."""
    text = text_of(SOLUTIONS / task.file)
    found = place(text, task.id)
    return text if found is None else textwrap.dedent(found)


def _code_lines(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
