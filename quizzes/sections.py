"""The sections of lessons that questions link to."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from learner.language import language
from learner.paths import ROOT
from quizzes.questions import Entry

LESSONS = ROOT / "notebooks"


def heading(entry: Entry) -> str:
    """The heading of a question's section, in the learner's language; its id if there is none."""
    section = entry.question.section
    for code in (language(), "en"):
        path = LESSONS / code / f"{entry.notebook}.ipynb"
        if path.exists():
            found = _headings(path, path.stat().st_mtime_ns).get(section)
            if found:
                return found
    return section


def cells(path: Path) -> list[dict[str, Any]]:
    """The cells of a notebook, each with its source as one text; none if there is no notebook."""
    if not path.exists():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    return [{**cell, "source": "".join(cell["source"])} for cell in content["cells"]]


@cache
def _headings(path: Path, _changed: int) -> dict[str, str]:
    found = {}
    for cell in cells(path):
        for line in cell["source"].splitlines():
            if cell["cell_type"] == "markdown" and line.startswith("#"):
                found[str(cell.get("id"))] = line.lstrip("#").strip()
                break
    return found
