"""Render lessons as HTML that works offline, with outputs in the lesson's language."""

import re
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from nbconvert import HTMLExporter
from nbconvert.filters import markdown2html
from nbconvert.preprocessors import CoalesceStreamsPreprocessor, Preprocessor
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from traitlets.config import Config

from learner.language import _

TEMPLATES = Path(__file__).with_name("templates")
WIDGET = "application/vnd.jupyter.widget-view+json"
CELL_SECONDS = 120
LIGHT, DARK = "xcode", "github-dark"
"""Pygments styles of code."""
_RELATIVE = re.compile(r'(href="(?![a-z][a-z0-9+.-]*:)[^"#]*)\.(?:ipynb|md)(?=["#])')
_MATHS = re.compile(r"(?<!\\)\$(?=\S)[^$\n]+(?<=\S)\$(?!\d)|\$\$|\\\(|\\\[")


def make_readable(cell: Any) -> Any:
    """Replace a cell's widgets, which need a kernel, by a sentence; join its printed outputs."""
    cell, _resources = CoalesceStreamsPreprocessor().preprocess_cell(cell, {}, 0)  # type: ignore[no-untyped-call]
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if data.pop(WIDGET, None) is not None and "text/html" not in data:
            told = _("This part is interactive: open the lesson in JupyterLab to use it.")
            data["text/html"] = f"<p><em>{escape(told)}</em></p>"
    return cell


class Readable(Preprocessor):
    """`make_readable` as a step of nbconvert."""

    def preprocess_cell(
        self, cell: Any, resources: dict[str, Any], index: int
    ) -> tuple[Any, dict[str, Any]]:
        """Change one cell of the exporter's copy of the notebook."""
        return make_readable(cell), resources


def exporter(template: str) -> HTMLExporter:
    """Return an nbconvert exporter with one of our templates; its pages load nothing else."""
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
    """Return the notebook's cells as HTML; links lead to the pages of the other lessons."""
    body, _resources = exporter(template).from_notebook_node(notebook, resources=resources)
    return link_pages(str(body))


def markdown(text: str) -> str:
    """Return one paragraph of Markdown as HTML, without `<p>`."""
    html = str(markdown2html(text)).strip()
    return link_pages(html.removeprefix("<p>").removesuffix("</p>"))


def link_pages(html: str) -> str:
    """Turn links to notebooks and Markdown files of the workshop into links to their pages."""
    return _RELATIVE.sub(r"\1.html", html)


def has_maths(text: str) -> bool:
    """Return whether Markdown contains formulas, which our pages cannot show (no MathJax)."""
    without_code = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    return _MATHS.search(without_code) is not None


def templates() -> Environment:
    """Return our templates for whole pages; values are escaped."""
    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)


def code_style(dark_too: bool = True) -> str:
    """Return the style sheet of highlighted code, for light and, if wanted, for dark pages."""
    light = str(HtmlFormatter(style=LIGHT).get_style_defs(".highlight"))
    dark = HtmlFormatter(style=DARK).get_style_defs(".highlight")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n" if dark_too else light
