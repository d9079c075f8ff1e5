"""Lessons are cut into slides without loss."""

from pathlib import Path

import nbformat.v4 as v4
import pytest

from authoring.publishing import slide_cells
from learner.language import speaking
from notebooks.lab.lessons import Lesson, lessons
from quizzes.questions import Number, One, find
from tests.authoring.publishing import pages, small_lessons


def test_every_idea_has_its_slide(source: Path, decks: Path) -> None:
    for lesson in lessons("en", source):
        page = pages.Page(decks / "en" / f"{lesson.name}.html")
        for cell in lesson.notebook.cells:
            if cell.id not in slide_cells.LEFT_OUT and not cell.source.startswith("ask"):
                assert cell.id in page.ids, cell.id


def test_a_folded_box_is_for_the_speaker(tmp_path: Path) -> None:
    lesson = lessons("en", small_lessons.write(tmp_path, ("en",)))[0]
    cells = slide_cells.cut(lesson, "").cells
    shown = [cell.metadata["slide"] | {"text": cell.source} for cell in cells]
    assert sum("the mean says it.** It hides" in one["notes"] for one in shown) == 1
    told = "".join(one["text"] + one.get("lead", "") + one.get("tail", "") for one in shown)
    assert "people remember them" in told
    assert "It hides" not in told


@pytest.mark.parametrize("count", [1, 20, 21, 22, 42, 43, 64])
def test_a_long_listing_loses_no_line(count: int) -> None:
    lines = [f"line {number}" for number in range(count)]
    listed = {"text/html": "<pre>" + "\n".join(lines) + "</pre>", "text/plain": "\n".join(lines)}
    listing = v4.new_output("display_data", data=listed)  # type: ignore[no-untyped-call]
    printed = small_lessons.text("stream", "\n".join(lines) + "\n")
    cell = small_lessons.code_cell("long", "show()", listing, printed)
    notebook = v4.new_notebook(cells=[cell])  # type: ignore[no-untyped-call]
    slides_of_it = slide_cells.cut(Lesson(Path("x.ipynb"), notebook), "").cells
    said = [output for slide in slides_of_it for output in slide.outputs]
    shown = [part.data["text/html"][5:-6] for part in said if "data" in part]
    assert "\n".join(shown).split("\n") == lines
    assert "\n".join(part.text for part in said if "text" in part).split("\n") == lines


@pytest.mark.parametrize("language", ["en", "ja", "id"])
def test_the_speaker_knows_what_is_right_and_why(language: str) -> None:
    with speaking(language):
        question = find("days-of-budget").question
        choice = find("panel-compare").question
    shown = {"text/html": "<div class='workshop-question'>?</div>", "text/plain": "?"}
    output = v4.new_output("display_data", data=shown)  # type: ignore[no-untyped-call]
    cells = [
        small_lessons.code_cell(name, f'ask("{name}")', output)
        for name in ("days-of-budget", "panel-compare")
    ]
    notebook = v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    with speaking(language):
        number, options = slide_cells.cut(Lesson(Path("x.ipynb"), notebook), "").cells
    assert isinstance(question, Number)
    assert number.metadata["slide"]["notes"].endswith(question.feedback_right)
    assert isinstance(choice, One)
    first, *others = options.metadata["slide"]["notes"].splitlines()
    (right,) = (one for one in choice.options if one.correct)
    assert first == f"- ✓ **{right.text}** {right.feedback}"
    assert len(others) == len(choice.options) - 1
    assert all(line.startswith("- ✗ **") for line in others)
