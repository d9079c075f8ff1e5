"""Lessons are run and rendered in their language."""

from pathlib import Path

import nbformat.v4 as v4
import pytest

from authoring.publishing import rendering
from learner.errors import LearnerError
from notebooks.lab.lessons import Lesson
from tests.authoring.publishing import small_lessons


def test_a_widget_leaves_words_behind() -> None:
    """A page that cannot show a widget says so."""
    notebook = small_lessons.lesson(0)
    view = {rendering.WIDGET: {"model_id": "x"}, "text/plain": "<Widget object>"}
    notebook.cells[4].outputs = [v4.new_output("display_data", data=view)]  # type: ignore[no-untyped-call]
    body = rendering.cells(notebook)
    assert "open the lesson in JupyterLab" in body
    assert "model_id" not in body
    assert "Widget object" not in body


def test_lessons_are_run_in_their_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = v4.new_notebook()  # type: ignore[no-untyped-call]
    notebook.cells = [
        small_lessons.code_cell(
            "say", "from learner.language import language\nprint(language() + '!')"
        )
    ]
    done = rendering.execute(Lesson(tmp_path / "x.ipynb", notebook), "id")
    assert done.notebook.cells[0].outputs[0].text == "id!\n"
    notebook.cells = [small_lessons.code_cell("fail", "1 / 0")]
    with pytest.raises(LearnerError, match=r"x\.ipynb failed: ZeroDivisionError"):
        rendering.execute(Lesson(tmp_path / "x.ipynb", notebook), "id")
