"""The code pane shows the file that runs, and finds the lines of each step."""

import html
import re

import pytest

from service.console.flow import STEPS
from service.console.reference import FILE, view_reference
from service.console.source import highlight, locate


def test_the_whole_file_is_shown_to_the_letter() -> None:
    shown = [html.unescape(re.sub(r"<[^>]+>", "", line)) for line in view_reference()["lines"]]
    assert "\n".join(shown) + "\n" == FILE.read_text()


@pytest.mark.parametrize("step", STEPS)
def test_each_step_has_its_lines(step: str) -> None:
    assert view_reference()["steps"][step]


def test_a_statement_is_lit_to_its_end() -> None:
    text = "def f(x):\n    return g(\n        x,\n    )\n"
    assert list(locate(text, "return g(")) == [2, 3, 4]
    assert list(locate(text, "def f")) == [1]
    with pytest.raises(ValueError, match="no line holds 'h'"):
        locate(text, "h")


def test_highlighted_code_is_escaped() -> None:
    assert highlight('x = "<b>"  # <i>\n') == [
        'x = <span class="string">&quot;&lt;b&gt;&quot;</span>  '
        '<span class="comment"># &lt;i&gt;</span>'
    ]
