"""Run a notebook as a script: it fails."""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbconvert import PythonExporter

from learner.language import _
from learner.paths import ROOT
from quizzes.evidence import Evidence
from quizzes.evidence.exhibit import AUTHOR, NOTEBOOK, cells, run_cells

MOST_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a script."""

    status: int
    """Exit status."""
    line: int
    """The line of code at which it ended, from 1; 0 if it ran through."""
    error: str
    """Its last line on stderr."""


def as_script() -> str:
    """Convert the exhibit's code cells, in the order of the page, to Python (by nbconvert)."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    exporter = PythonExporter(  # type: ignore[no-untyped-call]
        exclude_markdown=True, exclude_input_prompt=True
    )
    script, _resources = exporter.from_notebook_node(notebook)
    return str(script)


def lines_of_code(script: str) -> list[str]:
    """Return the lines of a script without empty lines and comments."""
    return [line for line in script.splitlines() if line.strip() and line.strip()[0] != "#"]


def run_script(script: str) -> Outcome:
    """Run a script as production would: in its own process, in an empty folder.

    The repository is on its path, so that no module is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "research.py"
        path.write_text(script, encoding="utf-8")
        ended = subprocess.run(
            [sys.executable, "-W", "ignore", path.name],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
            check=False,
        )
    if ended.returncode == 0:
        return Outcome(0, 0, "")
    before = script.splitlines()[
        : int(re.findall(r'"\S*research\.py", line (\d+)', ended.stderr)[0])
    ]
    return Outcome(
        ended.returncode, len(lines_of_code("\n".join(before))), ended.stderr.splitlines()[-1]
    )


def lines_by_purpose() -> dict[str, int]:
    """Count the exhibit's lines of code by the purpose of their cell."""
    counted: dict[str, int] = {}
    for cell in cells():
        counted[cell.purpose] = counted.get(cell.purpose, 0) + len(lines_of_code(cell.source))
    return counted


def run() -> Evidence:
    """Turn the exhibit into a script and run it."""
    script = as_script()
    outcome = run_script(script)
    assert outcome.status != 0, "the script ran through"
    assert not run_cells(AUTHOR).error, "an empty memory is enough for the author's order"
    code = len(lines_of_code(script))
    return Evidence(
        shows=_(
            "The script ended in line {line} of its {all} lines of code, with status {status}: "
            "{error}. No photo was classified."
        ).format(line=outcome.line, all=code, status=outcome.status, error=outcome.error),
        values={_("lines of code"): code, _("the line that it ended in"): outcome.line},
        varies=_(
            "the order of the lines; in the author's order they run to the end, in an empty "
            "memory, too."
        ),
    )
