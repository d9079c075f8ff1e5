"""`make test` runs the lessons with nbval: it accepts stored outputs, and finds changed ones."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat

from service.settings import ROOT
from tests.authoring.publishing import small_lessons

OPTIONS = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout", "120"]


def test_stored_outputs_pass_and_changed_ones_fail(tmp_path: Path) -> None:
    """One call like that of authoring/run_checks.py; two of three lessons were changed by hand."""
    as_run, number, words = (small_lessons.lesson(0) for _ in range(3))
    cell(number, "count").outputs[0].data["text/plain"] = "3"
    cell(words, "predict-tail").outputs[0].text = "Nothing.\n"
    for name, notebook in {"as_run": as_run, "number": number, "words": words}.items():
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")  # type: ignore[no-untyped-call]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *OPTIONS]
    variables = {"WORKSHOP_LANGUAGE": "en", "WORKSHOP_FOLDER": str(tmp_path / "work")}
    done = subprocess.run(
        [*command, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **variables},
    )
    assert done.returncode == 1, done.stdout
    assert "2 failed, 13 passed" in done.stdout
    assert "FAILED" in done.stdout
    assert "number.ipynb::Cell 4" in done.stdout
    assert "words.ipynb::Cell 1" in done.stdout


def cell(notebook: Any, name: str) -> Any:
    return next(cell for cell in notebook.cells if cell.id == name)
