"""Lessons are stored with their outputs and the digests of their sources."""

from pathlib import Path

import nbformat
import nbformat.v4 as v4

from authoring.execute_lessons import digest, execute


def test_outputs_are_stored_with_the_digest_of_their_source(tmp_path: Path) -> None:
    path = tmp_path / "id" / "lesson.ipynb"
    path.parent.mkdir()
    source = (
        "import os\nfrom learner.language import language\n"
        "print(os.environ['WORKSHOP_FOLDER'] != '', len(os.listdir()), language())"
    )
    cell = v4.new_code_cell(source, id="c")  # type: ignore[no-untyped-call]
    nbformat.write(v4.new_notebook(cells=[cell]), path)  # type: ignore[no-untyped-call]
    execute(path)
    (stored,) = nbformat.read(path, as_version=4).cells  # type: ignore[no-untyped-call]
    assert stored.outputs[0].text == "True 1 id\n", "in the folder of the notebook and its language"
    assert stored.metadata["executed"] == digest(source)
    assert "execution" not in stored.metadata, "no times, which differ from run to run"
