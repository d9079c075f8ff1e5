"""Finds a lesson's section: its name, and a link to it."""

import functools
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from learner.language import _, language
from learner.paths import ROOT

LAB = "http://127.0.0.1:8888/lab/tree"
"""Where `make lab` opens the learner's lessons, unless the port is taken."""
SITE = ROOT / "site"
"""Where `make site` writes the lessons as pages."""
_LINK = re.compile(r"(?P<notebook>(?P<number>\d\d)_\w+)\.ipynb(?:#cell-id=(?P<cell>[\w-]+))?")
_HEADING = re.compile(r"^#{1,2} +(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a lesson."""

    text: str
    """Lesson and heading in the learner's language."""
    href: str
    """Relative path of the page of `make site` if there is one; else JupyterLab."""


def section(link: str | None, report: Path) -> Section | None:
    """Return the section that a criterion's `lesson` names; None if it is not such a link.

    Args:
        link: for example "04_model_service.ipynb#cell-id=drain".
        report: the file that will hold the link.
    """
    match = _LINK.fullmatch(link or "")
    if match is None:
        return None
    notebook, cell = match["notebook"], match["cell"]
    code = language()
    heading = _find_heading(ROOT / "notebooks" / code / f"{notebook}.ipynb", cell)
    number = int(match["number"])
    place = f"#cell-id={cell}" if cell else ""
    page = SITE / code / f"{notebook}.html"
    href = f"{LAB}/{code}/{notebook}.ipynb{place}"
    if page.is_file():
        href = quote(Path(os.path.relpath(page, report.resolve().parent)).as_posix()) + place
    if heading is None:
        return Section(_("Lesson {number}").format(number=number), href)
    text = _("Lesson {number}, “{heading}”").format(number=number, heading=heading)
    return Section(text, href)


@functools.cache
def _find_heading(notebook: Path, cell: str | None) -> str | None:
    """Return the last heading at or above a cell, without its number; None if there is none."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, LookupError):
        return None
    last = None
    for one in cells:
        if one["cell_type"] == "markdown" and (
            headings := _HEADING.findall("".join(one["source"]))
        ):
            last = re.sub(r"^\d+(?:\.| ·) *", "", headings[0])
        if one.get("id") == cell:
            return last
    return None
