"""Shows cells of the exhibit (notebooks/exhibit/research.ipynb) in a lesson, and runs them."""

import html

from IPython.display import display
from pygments import highlight  # type: ignore[import-untyped]
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from pygments.lexers import PythonLexer  # type: ignore[import-untyped]

from learner.language import _
from quizzes.evidence.exhibit import AUTHOR, Cell, cells, run_cells

__all__ = ["AUTHOR", "cells", "run_cells", "show_cells"]

_TEXT = (
    "font-family: ui-monospace, monospace; font-size: 13px; line-height: 1.4; margin: 0; "
    "white-space: pre; overflow-x: auto; text-align: left; color: #1f2933; background: none;"
)
_CELL = (
    "border: 1px solid #c9ced4; border-left: 5px solid #1f6fb2; border-radius: 4px; "
    "background: #fff; color: #1f2933; padding: 6px 10px; margin: 0 0 8px 0; max-width: 760px;"
)
_OUTPUT = "border-top: 1px dashed #c9ced4; margin-top: 6px; padding-top: 4px;"


def show_cells(*names: str) -> None:
    """Display cells of the exhibit: number, name, code, stored output.

    Args:
        names: ids of cells; without any, all cells are shown.
    """
    shown = [cell for cell in cells() if not names or cell.id in names]
    page = {
        "text/html": "".join(map(_to_html, shown)),
        "text/plain": "\n\n".join(map(_to_text, shown)),
    }
    display(page, raw=True)  # type: ignore[no-untyped-call]


def _to_html(cell: Cell) -> str:
    style = HtmlFormatter(style="xcode", noclasses=True, nowrap=True)
    code = highlight(cell.source, PythonLexer(), style).rstrip("\n")
    output = ""
    if cell.output:
        text = html.escape(cell.output.rstrip())
        label = html.escape(_("Output:"))
        output = (
            f'<div style="{_OUTPUT}">{label}<pre tabindex="0" style="{_TEXT}">{text}</pre></div>'
        )
    return (
        f'<div style="{_CELL}"><strong>[{cell.count}]</strong> {html.escape(cell.id)}'
        f'<pre tabindex="0" style="{_TEXT}">{code}</pre>{output}</div>'
    )


def _to_text(cell: Cell) -> str:
    text = f"[{cell.count}] {cell.id}\n{cell.source}"
    return f"{text}\n{_('Output:')}\n{cell.output.rstrip()}" if cell.output else text
