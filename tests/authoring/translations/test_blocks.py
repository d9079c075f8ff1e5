"""Markdown that is cut into blocks and joined again is the same to the byte."""

import random
from pathlib import Path
from typing import Any

import pytest

from authoring.translations import blocks, documents
from learner.paths import ROOT

LESSONS = sorted((ROOT / "notebooks").glob("*/*.ipynb"))


NASTY = {
    "empty": "",
    "blank": "\n \n\t\n",
    "no line end": "one",
    "trailing spaces": "one  \ntwo   \n\n\nthree \t ",
    "nested lists": "- a\n  - b\n\n    more\n  - c\n\n\n1. one\n   > quote\n2. two\n\nend",
    "indented list": "  * a\n  * b\n\ntext",
    "loose list at the end": "- a\n\n- b\n\n\n",
    "table": "| a | b |\n|:--|--:|\n| `x|y` | \\| |\n\nafter",
    "html": "<div class='x'>\n<b>bold</b>\n\n*text*\n\n</div>\n<!-- note\n\nnote -->\n\n<hr>\ntext",
    "setext": "Title\n=====\nsub\n---\ntext\n\n---\n",
    "fences": "~~~py\n# not a heading\n\n```\n~~~\n```\nopen to the end\n\n- x",
    "fence in a list": "- a\n\n  ```py\n  x = 1\n  ```\n- b\n",
    "indented code": "text\n\n    code\n\n    more\n\ntext",
    "definitions": "[a]: http://x 'title'\n[b]: y\n\nsee [a] and [b][a]\n\n[c]: z",
    "quote, lazy": "> a\nb\n\n> c\n>\n> - d",
    "maths": "$$\na_{1} * b_{2}\n\n= c\n$$\n\ninline $x*y*z$ here",
    "windows": "# a\r\n\r\ntext  \r\nmore\r\n\r\n- x\r\n- y\r\n",
    "old mac": "# a\r\rtext\r",
    "mixed ends": "a\r\n\nb\r\rc\n",
    "separators": "a\u2028b\x0bc\x0c\n\nd\x85e\x1c\n",
    "null": "a\x00b\n\nc",
    "tabs": "-\ta\n\n\tb\n\n\tcode",
    "wide": "# 日本語\n\n**「強調」** です。\n\U0001f600",
    "heading after text": "text\n# heading\ntext\n***\ntext",
    "only a tag": '<img src="a.png">\n\n<img alt="a cat" src="b.png">',
    "escapes": "\\# no heading\n\n\\- no list\n\n&copy; &#35;",
}


def cells_of(path: Path) -> list[dict[str, Any]]:
    return list(documents.read_notebook(path.read_bytes().decode(), path.name)["cells"])


def assert_round_trip(source: str) -> None:
    assert "".join(piece.text for piece in blocks.cut(source)) == source
    assert blocks.translate(source, lambda _number, _text: None) == source
    assert blocks.translate(source, lambda _number, text: text) == source


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_cell_of_a_lesson_goes_round(path: Path) -> None:
    for cell in cells_of(path):
        assert_round_trip(documents.cell_source(cell))


@pytest.mark.parametrize("source", NASTY.values(), ids=NASTY.keys())
def test_nasty_markdown_goes_round(source: str) -> None:
    assert_round_trip(source)


def test_mixtures_of_nasty_markdown_go_round() -> None:
    """Also where a block runs into the next, and where the source breaks off."""
    chance = random.Random(4)
    for _ in range(2000):
        source = chance.choice(["", "\n", "\n\n", "\r\n"]).join(
            chance.sample(list(NASTY.values()), chance.randint(1, 4))
        )
        assert_round_trip(source[: chance.randint(0, len(source))])


def test_blocks_without_words_are_no_messages() -> None:
    source = (
        "# T\n\n```py\ncode\n```\n\n---\n\n<img src='x.png'>\n\n`code` 42\n\n$a = b$\n\ntext\n\n"
        "![a cat](x.svg)\n\n<img alt='a dog' src='y.png'>\n\n[](x.ipynb)\n\nhttp"
    )
    assert blocks.messages(source) == [
        (0, "# T"),
        (6, "text"),
        (7, "![a cat](x.svg)"),
        (8, "<img alt='a dog' src='y.png'>"),
        (10, "http"),
    ]


def test_a_block_is_replaced_with_the_line_ends_of_its_cell() -> None:
    source = "# a  \r\n\r\n- x\r\n- y\r\n\r\n"
    new = {"# a": "# b", "- x\n- y": "- v\n- w"}
    assert blocks.translate(source, lambda _n, text: new[text]) == "# b  \r\n\r\n- v\r\n- w\r\n\r\n"
