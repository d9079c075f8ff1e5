"""A lesson shows the source that runs, with notes above the right lines."""

import html
import re
from pathlib import Path

import pytest

from notebooks.workshop import listing
from notebooks.workshop.listing import show_source
from tests.notebooks.workshop.conftest import Shown


def clip(x: int) -> int:
    if x < 0:
        return 0
    return x


def test_a_module_is_shown_to_the_letter(shown: Shown) -> None:
    show_source(listing)
    lines = shown.text.splitlines()
    assert [line[4:] for line in lines] == Path(listing.__file__).read_text().splitlines()
    assert [int(line[:4]) for line in lines] == list(range(1, len(lines) + 1))


def test_a_note_stands_above_its_line(shown: Shown) -> None:
    show_source(clip, {"return 0": "never <negative>"})
    lines = shown.text.splitlines()
    at = next(number for number, line in enumerate(lines) if "return 0" in line)
    assert lines[at - 1].strip() == "▾ never <negative>"
    indent = lines[at].index("return")
    assert lines[at - 1].index("▾") == indent
    page = shown[0]["text/html"]
    assert "▾ never &lt;negative&gt;" in page
    plain = html.unescape(re.sub(r"<[^>]+>", "", page))
    assert "return x" in plain


def test_a_container_file_is_shown_whole(shown: Shown, tmp_path: Path) -> None:
    file = tmp_path / "Containerfile"
    file.write_text('FROM base\n\nCMD ["python"]\n')
    show_source(file, {"CMD": "no shell"})
    assert shown.text.splitlines() == ["1  FROM base", "2  ", "   ▾ no shell", '3  CMD ["python"]']


def test_line_numbers_are_those_of_the_file(shown: Shown) -> None:
    show_source(clip)
    assert shown.text.startswith(f"{clip.__code__.co_firstlineno}  def clip")


def test_a_note_for_a_line_that_is_gone_is_an_error() -> None:
    with pytest.raises(ValueError, match="no line of the source contains 'return 1'"):
        show_source(clip, {"return 1": "one"})
