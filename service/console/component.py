"""Puts the panel's front end together: one script and one style sheet, without a build step.

Its modules (front/*.js) are plain ES modules. A notebook's widget takes a single text, so they are
written one after another into one; each import names a module that stands before it.
"""

import re
from pathlib import Path

FRONT = Path(__file__).with_name("front")
COMPONENT = (
    "basics",
    "code_pane",
    "terminal",
    "controls",
    "plot",
    "inspector",
    "trial",
    "panel",
    "player",
)
"""The modules of front/; each stands after those that it imports."""
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./[\w.]+";\n', re.MULTILINE)


def style() -> str:
    """Return the style sheet."""
    return (FRONT / "panel.css").read_text(encoding="utf-8")


def script(*homes: str) -> str:
    """Return the component's source, followed by `homes`, the sources that mount it on a page."""
    return "\n".join([*(plain(FRONT / f"{name}.js") for name in COMPONENT), *homes])


def plain(path: Path) -> str:
    """Return a module's source without imports and exports, so that all fit into one text."""
    source = _IMPORT.sub("", path.read_text(encoding="utf-8"))
    return re.sub(r"^export ", "", source, flags=re.MULTILINE)
