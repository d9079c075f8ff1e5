"""Lessons are copied to the learner's folder, and the learner's changes always stay."""

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from notebooks.lab.copies import digest, lay_out
from tests.authoring.publishing import small_lessons

NAME = "01_first.ipynb"


@pytest.fixture
def offered(tmp_path: Path) -> Path:
    """The workshop's lessons, to be updated."""
    return small_lessons.write(tmp_path / "notebooks", ("en", "ja"))


def change(path: Path, how: Callable[[nbformat.NotebookNode], object]) -> None:
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    how(notebook)
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]


def edit(path: Path, text: str) -> None:
    change(path, lambda notebook: notebook.cells[-2].update(source=text))


def test_all_files_of_a_language_are_laid_out(work: Path, offered: Path) -> None:
    laid = lay_out("ja", notebooks=offered)
    assert laid.folder == work / "ja"
    assert laid.lines == ()
    for path in offered.glob("ja/**/*.*"):
        there = work / path.relative_to(offered)
        assert digest(there) == digest(path)
        if path.suffix == ".ipynb":  # stored outputs would tell the answers before the guess
            cells = nbformat.read(there, 4).cells  # type: ignore[no-untyped-call]
            code = [cell for cell in cells if cell.cell_type == "code"]
            assert code
            assert not any(cell.outputs or cell.execution_count for cell in code)
    assert not (work / "en").exists()


def test_an_untouched_lesson_follows_the_workshop(work: Path, offered: Path) -> None:
    lay_out("en", notebooks=offered)
    edit(offered / "en" / NAME, "new")
    (offered / "en" / "figures" / "arrow.svg").write_text("<svg/>")
    assert lay_out("en", notebooks=offered).lines == ()
    assert "new" in (work / "en" / NAME).read_text()
    assert (work / "en" / "figures" / "arrow.svg").read_text() == "<svg/>"


def test_a_lesson_that_was_only_run_is_untouched(work: Path, offered: Path) -> None:
    lay_out("en", notebooks=offered)
    mine = work / "en" / NAME

    def run(notebook: nbformat.NotebookNode) -> None:
        notebook.cells[4].outputs = []
        notebook.cells[4].execution_count = 77
        notebook.cells[4].metadata["trusted"] = True
        notebook.metadata["language_info"]["version"] = "3.11.2"
        notebook.cells.append(small_lessons.code_cell("extra", ""))  # Shift+Enter at the end

    change(mine, run)
    lay_out("en", notebooks=offered)
    assert "77" in mine.read_text()  # nothing newer: the outputs stay
    edit(offered / "en" / NAME, "new")
    lay_out("en", notebooks=offered)
    assert digest(mine) == digest(offered / "en" / NAME)
    assert "77" not in mine.read_text()


def test_a_changed_lesson_stays_and_a_newer_one_is_named(work: Path, offered: Path) -> None:
    lay_out("en", notebooks=offered)
    edit(work / "en" / NAME, "mine")
    assert lay_out("en", notebooks=offered).lines == ()
    edit(offered / "en" / NAME, "new")
    for _again in range(2):
        (line,) = lay_out("en", notebooks=offered).lines
        assert NAME in line
        assert "make lab lang=en fresh=1" in line
        assert "mine" in (work / "en" / NAME).read_text()


def test_fresh_keeps_a_copy(work: Path, offered: Path) -> None:
    lay_out("en", notebooks=offered)
    edit(work / "en" / NAME, "mine")
    (line,) = lay_out("en", fresh=True, notebooks=offered).lines
    assert digest(work / "en" / NAME) == digest(offered / "en" / NAME)
    (kept,) = (work / "en" / "kept").rglob(NAME)
    assert "mine" in kept.read_text()
    assert str(kept.relative_to(work / "en").parent) in line
    assert lay_out("en", notebooks=offered).lines == ()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": [{}]}'])
def test_a_damaged_lesson_is_the_learners(work: Path, offered: Path, content: str) -> None:
    lay_out("en", notebooks=offered)
    (work / "en" / NAME).write_text(content)
    lay_out("en", notebooks=offered)
    assert (work / "en" / NAME).read_text() == content
    lay_out("en", fresh=True, notebooks=offered)
    assert digest(work / "en" / NAME) == digest(offered / "en" / NAME)


def test_changes_stay_even_without_stored_digests(
    work: Path, offered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out("en", notebooks=offered)
    edit(work / "en" / NAME, "mine")
    (work / "lessons.json").write_text("?")
    lay_out("en", notebooks=offered)
    assert "mine" in (work / "en" / NAME).read_text()
    assert "lessons.json was damaged" in capsys.readouterr().out


def test_a_withdrawn_lesson_goes_if_untouched(work: Path, offered: Path) -> None:
    lay_out("en", notebooks=offered)
    (work / "en" / "own.ipynb").write_text("{}")
    edit(work / "en" / NAME, "mine")
    for path in (offered / "en").glob("*.ipynb"):
        path.unlink()
    lay_out("en", notebooks=offered)
    assert sorted(path.name for path in (work / "en").glob("*.ipynb")) == [NAME, "own.ipynb"]
