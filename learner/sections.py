"""The sections of lessons, to which questions, hints and verdicts link."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from learner.language import language
from learner.paths import ROOT

LESSONS = ROOT / "notebooks"
_HEADING = re.compile(r"^#{1,2} +(.+?)\s*$", re.MULTILINE)


def find_heading(lesson: str, cell: str) -> str | None:
    """Return the last heading at or above a cell, in the learner's language.

    Only levels 1 and 2 count. A lesson that is not translated gives its English heading.

    Args:
        lesson: the notebook's name without .ipynb.
        cell: a cell's id.

    Returns:
        The heading with its number; None if there is no such lesson, cell or heading.
    """
    for code in (language(), "en"):
        path = LESSONS / code / f"{lesson}.ipynb"
        if path.exists():
            return _read_headings(path, path.stat().st_mtime_ns).get(cell)
    return None


def read_cells(path: Path) -> list[dict[str, Any]]:
    """Return the cells of a notebook, each source as one string; none if there is no notebook."""
    if not path.exists():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    return [{**cell, "source": "".join(cell["source"])} for cell in content["cells"]]


@cache
def _read_headings(path: Path, _changed: int) -> dict[str, str]:
    """Return cell id → heading."""
    headings: dict[str, str] = {}
    last = None
    for cell in read_cells(path):
        if cell["cell_type"] == "markdown" and (heading := _HEADING.search(cell["source"])):
            last = heading[1]
        if last is not None and "id" in cell:
            headings[cell["id"]] = last
    return headings
