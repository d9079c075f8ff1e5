"""Finds a lesson's section: its name, and a link to it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from learner.language import _, language
from learner.paths import ROOT
from learner.sections import find_heading

LAB = "http://127.0.0.1:8888/lab/tree"
"""Where `make lab` opens the learner's lessons, unless the port is taken."""
SITE = ROOT / "site"
"""Where `make site` writes the lessons as pages."""
_LINK = re.compile(r"(?P<notebook>(?P<number>\d\d)_\w+)\.ipynb(?:#cell-id=(?P<cell>[\w-]+))?")
_NUMBER = re.compile(r"^\d+(?:\.| ·) *")


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
    heading = find_heading(notebook, cell or "")
    number = int(match["number"])
    place = f"#cell-id={cell}" if cell else ""
    page = SITE / code / f"{notebook}.html"
    href = f"{LAB}/{code}/{notebook}.ipynb{place}"
    if page.is_file():
        href = quote(Path(os.path.relpath(page, report.resolve().parent)).as_posix()) + place
    if heading is None:
        return Section(_("Lesson {number}").format(number=number), href)
    text = _("Lesson {number}, “{heading}”").format(number=number, heading=_NUMBER.sub("", heading))
    return Section(text, href)
