"""Lessons are rendered so that they can be read without a kernel."""

import nbformat.v4 as v4

from authoring.publishing import rendering
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
