"""Where a lesson's section is: what it is called, and how a page can lead there."""

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
    heading = find_heading(notebook, cell or "")
    number = int(found["number"])
    place = f"#cell-id={cell}" if cell else ""
    page = SITE / code / f"{notebook}.html"
    href = f"{LAB}/{code}/{notebook}.ipynb{place}"
    if page.is_file():
        href = quote(_relative(page, report.resolve().parent)) + place
    if heading is None:
        return Section(_("Lesson {number}").format(number=number), href)
    text = _("Lesson {number}, “{heading}”").format(number=number, heading=_NUMBER.sub("", heading))
    return Section(text, href)


def _relative(page: Path, folder: Path) -> str:
    return Path(os.path.relpath(page, folder)).as_posix()
