"""`make lab`: lessons are laid out without ever touching a learner's work; JupyterLab is theirs."""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx2 as httpx
import nbformat
import pytest
from playwright.sync_api import Browser

from learner.errors import LearnerError
from learner.processes import Program
from notebooks.lab import __main__ as lab
from notebooks.lab import interface
from notebooks.lab.copies import digest, lay_out
from notebooks.lab.lessons import lessons
from service.settings import ROOT
from tests.authoring.publishing import small_lessons

NAME = "01_first.ipynb"


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner's empty folder."""
    monkeypatch.setenv("WORKSHOP_FOLDER", str(tmp_path / "work"))
    return tmp_path / "work"


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


def test_a_changed_lesson_stays_and_one_line_says_so_when_there_is_a_newer_one(
    work: Path, offered: Path
) -> None:
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


def test_without_memory_of_what_was_laid_out_changes_still_stay(
    work: Path, offered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out("en", notebooks=offered)
    edit(work / "en" / NAME, "mine")
    (work / "lessons.json").write_text("?")
    lay_out("en", notebooks=offered)
    assert "mine" in (work / "en" / NAME).read_text()
    assert "lessons.json was damaged" in capsys.readouterr().out


def test_a_lesson_that_is_gone_goes_if_untouched(work: Path, offered: Path) -> None:
    lay_out("en", notebooks=offered)
    (work / "en" / "own.ipynb").write_text("{}")
    edit(work / "en" / NAME, "mine")
    for path in (offered / "en").glob("*.ipynb"):
        path.unlink()
    lay_out("en", notebooks=offered)
    assert sorted(path.name for path in (work / "en").glob("*.ipynb")) == [NAME, "own.ipynb"]


def test_a_learners_folder_is_out_of_versions_sight() -> None:
    done = subprocess.run(["git", "check-ignore", "my_work/en/x.ipynb"], cwd=ROOT)
    assert done.returncode == 0


def test_a_language_that_is_not_there_is_one_sentence(work: Path) -> None:
    command = [sys.executable, "-m", "notebooks.lab", "--lang", "fr"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr == (
        'error: There is no language "fr". '
        "Choose one of: en (English), ja (日本語), id (Bahasa Indonesia)\n"
    )


@pytest.mark.parametrize("port", [0, 70000])
def test_a_port_that_is_none_is_one_sentence(port: int) -> None:
    with pytest.raises(LearnerError, match=f"{port} is not a port"):
        lab.free_port(port)


def test_a_busy_port_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind((lab.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert lab.free_port(port) > port


def test_no_free_port_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "MAX_TRIES", 0)
    with pytest.raises(LearnerError, match="make lab port="):
        lab.free_port(9000)


def test_settings_of_the_learner_stay(work: Path) -> None:
    lab.environment("id", "secret")
    file = work / ".jupyter/settings/@jupyterlab/translation-extension/plugin.jupyterlab-settings"
    file.write_text(json.dumps({"locale": "ja_JP", "theirs": 1}))
    given = lab.environment("id", "secret")
    assert json.loads(file.read_text()) == {"locale": "id_ID", "theirs": 1}
    assert given["WORKSHOP_LANGUAGE"] == "id"
    assert given["WORKSHOP_FOLDER"] == str(work)
    assert given["JUPYTER_CONFIG_DIR"].startswith(str(work))


def test_what_is_added_to_jupyterlabs_translation_exists_in_it() -> None:
    """Its Japanese is nearly whole: what is not in there is a slip, or gone from JupyterLab."""
    pack = find_spec("jupyterlab_language_pack_ja_JP")
    assert pack is not None
    assert pack.origin is not None
    whole = Path(pack.origin).parent / "locale/ja_JP/LC_MESSAGES/jupyterlab.json"
    japanese = json.loads(whole.read_text(encoding="utf-8"))
    for key, texts in interface.read_added_texts("id_ID").items():
        assert len(texts) == len(japanese[key]), key
        assert re.findall(r"%\d", texts[0]) == re.findall(r"%\d", key)


@pytest.fixture(params=[code for code in ("ja", "id") if lessons(code)] or ["en"])
def jupyterlab(request: pytest.FixtureRequest, work: Path) -> Iterator[tuple[str, str, Path]]:
    """A running `make lab`: its language, address and folder."""
    command = [sys.executable, "-m", "notebooks.lab", "--no-browser", "--port", "18888"]
    with Program([*command, "--lang", request.param]) as program:
        address = re.findall(r"http://\S+", program.wait_for("token=").text)[0]
        for _attempt in range(600):
            try:
                httpx.get(address)
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield request.param, address, work
        program.stop()


def test_jupyterlab_opens_lesson_1_in_its_language(
    jupyterlab: tuple[str, str, Path], browser: Browser
) -> None:
    code, address, work = jupyterlab
    page = browser.new_page()
    page.set_default_timeout(90_000)  # a kernel, a server and a browser start on two busy cores
    page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    menu = page.locator("#jp-MainMenu")
    menu.get_by_text({"en": "File", "ja": "ファイル", "id": "Berkas"}[code]).wait_for()
    page.locator(".jp-Notebook h1", has_text=lessons(code)[0].title).first.wait_for()
    assert page.locator(".Toastify__toast").count() == 0
    base, token = address.split("/lab/tree/")[0], address.split("token=")[1]
    headers = {"Authorization": f"token {token}"}
    specs = httpx.get(f"{base}/api/kernelspecs", headers=headers).json()
    assert list(specs["kernelspecs"]) == ["python3"]
    assert (work / code / lessons(code)[0].path.name).exists()
    page.close()
