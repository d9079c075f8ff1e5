"""Run the lessons of all languages and store their outputs: `make lessons [only=03] [lang=ja]`.

Each lesson runs from the top in a fresh kernel, and speaks the language of its folder. Stored are
the outputs, for learners who only read, for the site and for the slides; and with each code cell
the digest of its source, by which the tests find outdated outputs. The lessons of the other
languages are made from the English ones first.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from learner.processes import bypass_proxy

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
LANGUAGES = ("en", "ja", "id")
CELL_SECONDS = 120


def main() -> None:
    """Run all lessons, or those whose names contain one of the arguments."""
    bypass_proxy()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lesson", nargs="*", help="part of a lesson's name; all if none is given")
    parser.add_argument("--lang", choices=LANGUAGES, help="one language; all if none is given")
    options = parser.parse_args()
    for code in [options.lang] if options.lang else LANGUAGES:
        if code != "en":
            update_generated_lessons()
        for path in sorted((NOTEBOOKS / code).glob("*.ipynb")):
            if not options.lesson or any(part in path.name for part in options.lesson):
                started = time.monotonic()
                print(f"{code}/{path.name} … ", end="", flush=True)
                try:
                    execute(path)
                except CellExecutionError as error:
                    sys.exit(f"\nerror: a cell of {path} failed:\n{error}")
                print(f"{time.monotonic() - started:.0f} s")


def update_generated_lessons() -> None:
    """Make the lessons of the other languages from the English ones; keep outputs that fit."""
    command = [sys.executable, "-m", "authoring.translations"]
    if subprocess.run(command, cwd=ROOT).returncode:
        sys.exit("error: the lessons were not generated, so they were not run")


def execute(path: Path) -> None:
    """Run one notebook in its own folder, and write it back with its outputs."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": path.parent}},
        )
        # The author's own guesses, progress and language must not show.
        hidden = {"WORKSHOP_FOLDER": folder, "WORKSHOP_LANGUAGE": ""}
        client.execute(env={**os.environ, **hidden})
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata["executed"] = digest(cell.source)
            for output in cell.outputs:
                # Without a kernel a widget shows "model not found"; its text is stored beside it.
                output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]


def digest(source: str) -> str:
    """Return the first 16 hexadecimal digits of a source's SHA-256."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]


if __name__ == "__main__":
    main()
