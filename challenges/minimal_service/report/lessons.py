"""Where a lesson's section is: what it is called, and how a page can lead there."""

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
    """The page of `make site`, if there is one, relative to the report; else JupyterLab."""


def section(link: str | None, report: Path) -> Section | None:
    """The section that a criterion's `lesson` names; None without one, or if it is no such link.

    Args:
        link: for example "04_model_service.ipynb#cell-id=drain".
        report: the file that will hold the link.
    """
    found = _LINK.fullmatch(link or "")
    if found is None:
        return None
    notebook, cell = found["notebook"], found["cell"]
    code = language()
    heading = _heading(ROOT / "notebooks" / code / f"{notebook}.ipynb", cell)
    number = int(found["number"])
    place = f"#cell-id={cell}" if cell else ""
    page = SITE / code / f"{notebook}.html"
    href = f"{LAB}/{code}/{notebook}.ipynb{place}"
    if page.is_file():
        href = quote(_relative(page, report.resolve().parent)) + place
    if heading is None:
        return Section(_("Lesson {number}").format(number=number), href)
    text = _("Lesson {number}, “{heading}”").format(number=number, heading=heading)
    return Section(text, href)


@functools.cache
def _heading(notebook: Path, cell: str | None) -> str | None:
    """The last heading at or above a cell, without its number; None where there is none."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, LookupError):
        return None
    last = None
    for one in cells:
        if one["cell_type"] == "markdown" and (found := _HEADING.findall("".join(one["source"]))):
            last = re.sub(r"^\d+(?:\.| ·) *", "", found[0])
        if one.get("id") == cell:
            return last
    return None


def _relative(page: Path, folder: Path) -> str:
    return Path(os.path.relpath(page, folder)).as_posix()
