"""From a lesson to HTML that needs nothing from outside, with its outputs in its language."""

import os
import re
import tempfile
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from nbconvert.filters import markdown2html
from nbconvert.preprocessors import CoalesceStreamsPreprocessor, Preprocessor
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from traitlets.config import Config

from learner import language
from learner.errors import LearnerError
from learner.language import _
from learner.paths import FOLDER_VARIABLE
from notebooks.lab.lessons import Lesson

TEMPLATES = Path(__file__).with_name("templates")
WIDGET = "application/vnd.jupyter.widget-view+json"
CELL_SECONDS = 120
LIGHT, DARK = "xcode", "github-dark"
"""Pygments' styles of the code."""
_RELATIVE = re.compile(r'(href="(?![a-z][a-z0-9+.-]*:)[^"#]*)\.(?:ipynb|md)(?=["#])')
_MATHS = re.compile(r"(?<!\\)\$(?=\S)[^$\n]+(?<=\S)\$(?!\d)|\$\$|\\\(|\\\[")


def readable(cell: Any) -> Any:
    """The cell, its outputs changed to what a page can show: no widget, which needs a kernel.

    What was printed in one go, but stored in pieces, is one piece again.
    """
    cell, _resources = CoalesceStreamsPreprocessor().preprocess_cell(cell, {}, 0)  # type: ignore[no-untyped-call]
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if data.pop(WIDGET, None) is not None and "text/html" not in data:
            told = _("This part lives: open the lesson in JupyterLab to use it.")
            data["text/html"] = f"<p><em>{escape(told)}</em></p>"
    return cell


class Readable(Preprocessor):
    """`readable`, as a step of nbconvert."""

    def preprocess_cell(
        self, cell: Any, resources: dict[str, Any], index: int
    ) -> tuple[Any, dict[str, Any]]:
        """Change one cell; the exporter works on a copy of the notebook."""
        return readable(cell), resources


def executed(lesson: Lesson, code: str) -> Lesson:
    """The lesson, run from the top in a fresh kernel that speaks language `code`.

    Raises:
        LearnerError: a cell failed; the message has the end of what it said.
    """
    with tempfile.TemporaryDirectory() as work:
        variables = {**os.environ, language.VARIABLE: code, FOLDER_VARIABLE: work}
        notebook = lesson.notebook.copy()
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            record_timing=False,
            store_widget_state=False,
            resources={"metadata": {"path": lesson.path.parent}},
        )
        try:
            client.execute(env=variables)
        except CellExecutionError as error:
            raise LearnerError(
                _("A cell of {file} failed: {reason}").format(
                    file=lesson.path.name, reason=f"{error.ename}: {error.evalue}"
                )
            ) from None
    return Lesson(lesson.path, notebook)


def exporter(template: str) -> HTMLExporter:
    """Nbconvert with one of our templates, and no address of anything to load."""
    settings = Config()
    settings.HTMLExporter.exclude_input_prompt = True
    settings.HTMLExporter.exclude_output_prompt = True
    settings.HTMLExporter.exclude_anchor_links = True
    return HTMLExporter(  # type: ignore[no-untyped-call]
        config=settings,
        template_name=template,
        extra_template_basedirs=[str(TEMPLATES)],
        preprocessors=[Readable],
    )


def cells(notebook: Any, template: str = "cells", **resources: Any) -> str:
    """The notebook's cells as HTML; links lead to the pages of the other lessons."""
    body, _resources = exporter(template).from_notebook_node(notebook, resources=resources)
    return linked(str(body))


def markdown(text: str) -> str:
    """One paragraph's Markdown as HTML, without the paragraph around it."""
    html = str(markdown2html(text)).strip()
    return linked(html.removeprefix("<p>").removesuffix("</p>"))


def linked(html: str) -> str:
    """Links to notebooks and Markdown files of the workshop become links to their pages."""
    return _RELATIVE.sub(r"\1.html", html)


def has_maths(text: str) -> bool:
    """Whether Markdown has formulas, which our pages do not typeset (that takes MathJax)."""
    without_code = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    return _MATHS.search(without_code) is not None


def templates() -> Environment:
    """Our templates for whole pages; what is put in is escaped."""
    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)


def code_style(dark_too: bool = True) -> str:
    """The style sheet of highlighted code, for light paper and, where wanted, for dark."""
    light = str(HtmlFormatter(style=LIGHT).get_style_defs(".highlight"))
    dark = HtmlFormatter(style=DARK).get_style_defs(".highlight")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n" if dark_too else light
