"""Makes matplotlib figures SVG within a page, in the page's colours and font."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import Any

from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from learner.language import language

# Placeholders: the page's style sheet defines them for light and dark.
INK, QUIET, LINE = "#010101", "#010102", "#010103"
GOOD, BAD, WASH = "#010104", "#010105", "#010106"
_VARIABLES = {
    INK: "--ink",
    QUIET: "--quiet",
    LINE: "--grid",
    GOOD: "--good",
    BAD: "--bad",
    WASH: "--bad-wash",
}
_SIZE = (5.2, 3.1)
"""Inches. On a phone the text of 10 pt shrinks to 70 % and is still readable."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture with its heading and a caption that helps to read it."""

    title: str
    svg: Markup
    caption: str


@contextmanager
def drawing() -> Iterator[Figure]:
    """Give an empty figure in the report's style, in a font that has the learner's script."""
    settings: Any = {
        "font.size": 10,
        "font.family": "sans-serif",
        "text.color": INK,
        "axes.edgecolor": LINE,
        "axes.labelcolor": QUIET,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": LINE,
        "ytick.color": LINE,
        "xtick.labelcolor": QUIET,
        "ytick.labelcolor": QUIET,
        "grid.color": LINE,
        "grid.linewidth": 0.8,
        "axes.grid": True,
        "axes.axisbelow": True,
        "path.simplify": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "verdict",
    }
    with rc_context():
        if language() == "ja":
            import matplotlib_fontja

            matplotlib_fontja.japanize()  # registers its font, and makes it everybody's in here
            settings["font.family"] = "IPAexGothic"
        with rc_context(settings):
            yield Figure(figsize=_SIZE, layout="constrained")


def inline(figure: Figure, name: str, alt: str) -> Markup:
    """Return the figure as an `<svg>` element; to be called within `drawing`.

    Args:
        figure: drawn in the colours of this module.
        name: letters that make the ids within the page distinct.
        alt: what it shows, in words and figures.
    """
    file = StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(?<= )d="[^"]*"', lambda path: _rounded(path[0]), svg)
    svg = re.sub(r"font-family: [^;\"]*; ", "", svg)
    svg = re.sub(r'id="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(|xlink:href=")#', rf"\1#{name}-", svg).replace("xlink:href", "href")
    for placeholder, variable in _VARIABLES.items():
        svg = svg.replace(placeholder, f"var({variable})")
    box = re.search(r'viewBox="[^"]*"', svg)
    assert box is not None, "matplotlib writes a viewBox"
    body = re.sub(r"\s*\n\s*", "\n", svg[svg.index(">") + 1 :])
    # All of it is ours but the labels, which matplotlib has escaped.
    return Markup(f'<svg role="img" aria-label="{escape(alt)}" {box[0]}>{body}')


def weight() -> str:
    """Return the font weight for emphasis; the font for Japanese has one weight only."""
    return "normal" if language() == "ja" else "bold"


def plain_ticks(axis: Axis, low: float, high: float) -> None:
    """Label a logarithmic axis with 10, 20, 50, 100 … instead of powers of ten."""
    close = high / low < 200
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if close else (1,)))
    axis.set_major_formatter("{x:,g}")
    axis.set_minor_formatter(NullFormatter())
    axis.set_tick_params(which="minor", length=0)


def _rounded(path: str) -> str:
    return re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), path)
