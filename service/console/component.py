"""The panel's front end as one script and one style sheet, put together without a build step.

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
"""Modules of front/, each after those that it imports."""
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./[\w.]+";\n', re.MULTILINE)


def style() -> str:
    """The style sheet."""
    return (FRONT / "panel.css").read_text(encoding="utf-8")


def script(*homes: str) -> str:
    """The component, and after it the sources of `homes`: what mounts it somewhere."""
    return "\n".join([*(plain(FRONT / f"{name}.js") for name in COMPONENT), *homes])


def plain(path: Path) -> str:
    """A module's source without its imports and exports: to stand in one text with the others."""
    source = _IMPORT.sub("", path.read_text(encoding="utf-8"))
    return re.sub(r"^export ", "", source, flags=re.MULTILINE)
