"""Lessons are stored with their outputs and the digests of their sources."""

from pathlib import Path

import nbformat
import nbformat.v4 as v4

from authoring.execute_lessons import digest, execute


def test_outputs_are_stored_with_the_digest_of_their_source(tmp_path: Path) -> None:
    path = tmp_path / "lesson.ipynb"
    source = "import os\nprint(os.environ['WORKSHOP_FOLDER'] != '', len(os.listdir()))"
    cell = v4.new_code_cell(source, id="c")  # type: ignore[no-untyped-call]
    nbformat.write(v4.new_notebook(cells=[cell]), path)  # type: ignore[no-untyped-call]
    execute(path)
    (stored,) = nbformat.read(path, as_version=4).cells  # type: ignore[no-untyped-call]
    assert stored.outputs[0].text == "True 1\n", "it ran in the folder of the notebook"
    assert stored.metadata["executed"] == digest(source)
    assert "execution" not in stored.metadata, "no times, which differ from run to run"
