"""Shows source code in a lesson, read from the file that runs."""

import html
import inspect
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from IPython.display import display
from pygments import highlight  # type: ignore[import-untyped]
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from pygments.lexers import DockerLexer, PythonLexer  # type: ignore[import-untyped]

STYLE = "xcode"
_PAGE = (
    "font-family: ui-monospace, monospace; font-size: 13px; line-height: 1.45; color: #1f2933; "
    "background: #fff; padding: 8px; overflow-x: auto; white-space: pre; text-align: left;"
)
_NUMBER = "color: #6b6b6b; user-select: none;"
_MARKED = "background: #fcebdf; box-shadow: -4px 0 #d1632c;"
_NOTE = "font-family: system-ui, sans-serif; font-weight: 600; color: #9a3f12;"


def show_source(
    thing: ModuleType | Callable[..., Any] | Path, marks: Mapping[str, str] | None = None
) -> None:
    """Display the source of a module, class, function or container file, with notes above lines.

    Args:
        thing: what to show.
        marks: part of a line → note above that line, in the learner's language.

    Raises:
        ValueError: no line contains such a part: the lesson is out of date.
    """
    source, begin = _source(thing)
    lines = source.splitlines()
    notes = {_find(part, lines): note for part, note in (marks or {}).items()}
    lexer = (DockerLexer if isinstance(thing, Path) else PythonLexer)(stripnl=False)
    coloured = highlight(
        source, lexer, HtmlFormatter(style=STYLE, noclasses=True, nowrap=True)
    ).splitlines()
    width = len(str(begin + len(lines)))
    rows, plain = [], []
    for number, (line, colour) in enumerate(zip(lines, coloured, strict=True)):
        label = f"{begin + number:>{width}}  "
        row = f'<span style="{_NUMBER}">{label}</span>{colour}'
        if note := notes.get(number):
            # Above its line: a narrow page would cut it off at the end.
            said = " " * (len(label) + len(line) - len(line.lstrip())) + f"▾ {note}"
            rows.append(f'<span style="{_NOTE}">{html.escape(said)}</span>')
            plain.append(said)
            row = f'<span style="{_MARKED}">{row}</span>'
        rows.append(row)
        plain.append(label + line)
    page = f'<pre tabindex="0" style="{_PAGE}">' + "\n".join(rows) + "</pre>"
    display({"text/html": page, "text/plain": "\n".join(plain)}, raw=True)  # type: ignore[no-untyped-call]


def _source(thing: ModuleType | Callable[..., Any] | Path) -> tuple[str, int]:
    """Return the text, and the number of its first line in the file."""
    if isinstance(thing, Path):
        return thing.read_text("utf-8"), 1
    if isinstance(thing, ModuleType):
        return inspect.getsource(thing).rstrip("\n") + "\n", 1
    lines, begin = inspect.getsourcelines(thing)
    return textwrap.dedent("".join(lines)), begin


def _find(part: str, lines: list[str]) -> int:
    for number, line in enumerate(lines):
        if part in line:
            return number
    raise ValueError(f"no line of the source contains {part!r}")
