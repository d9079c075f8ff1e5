"""`make lab`: its command line, its settings, its language, and a real JupyterLab."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx2 as httpx
import nbformat
import pytest
from playwright.sync_api import Browser

from authoring.translations import glossary
from learner.errors import LearnerError
from learner.processes import Program
from notebooks.lab import __main__ as lab
from notebooks.lab import interface
from notebooks.lab.lessons import lessons
from service.settings import ROOT
from tests.conftest import wait_until

IS_ON_SCREEN = """row => {
    const top = row.getBoundingClientRect().top
    return 0 <= top && top < innerHeight
}"""


def test_git_ignores_the_learners_folder() -> None:
    done = subprocess.run(["git", "check-ignore", "my_work/en/x.ipynb"], cwd=ROOT)
    assert done.returncode == 0


def test_an_unknown_language_is_one_sentence(work: Path) -> None:
    command = [sys.executable, "-m", "notebooks.lab", "--lang", "fr"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr == (
        'error: There is no language "fr". '
        "Choose one of: en (English), ja (日本語), id (Bahasa Indonesia)\n"
    )


@pytest.mark.parametrize("port", [0, 70000])
def test_an_impossible_port_is_one_sentence(port: int) -> None:
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


def test_a_codespace_lets_in_its_own_pages_only(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lab.find_codespace_origin(18889) is None
    monkeypatch.setenv("CODESPACE_NAME", "Octocat-mld5")
    monkeypatch.setenv("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN", "app.github.dev")
    own = "https://octocat-mld5-18889.app.github.dev"
    assert lab.find_codespace_origin(18889) == own
    command = [sys.executable, "-m", "notebooks.lab", "--no-browser", "--port", "18889"]
    with Program([*command, "--lang", "en"]) as program:
        address = re.findall(r"http://\S+", program.wait_for("token=").text)[0]
        wait_until(lambda: answers(address), 60)
        with httpx.Client() as browser:
            browser.get(address)  # the token becomes a cookie
            kernels = f"{address.split('/lab/')[0]}/api/kernels"
            for origin, status in ((own, 200), ("https://octocat-mld5-1.app.github.dev", 404)):
                headers = {"Origin": origin, "Referer": f"{origin}/"}
                assert browser.get(kernels, headers=headers).status_code == status, origin
        program.stop()


def test_the_learners_settings_stay(work: Path) -> None:
    lab.environment("id", "secret")
    file = work / ".jupyter/settings/@jupyterlab/translation-extension/plugin.jupyterlab-settings"
    file.write_text(json.dumps({"locale": "ja_JP", "theirs": 1}))
    given = lab.environment("id", "secret")
    assert json.loads(file.read_text()) == {"locale": "id_ID", "theirs": 1}
    assert given["WORKSHOP_LANGUAGE"] == "id"
    assert given["WORKSHOP_FOLDER"] == str(work)
    assert given["JUPYTER_CONFIG_DIR"].startswith(str(work))


def test_texts_that_we_translate_exist_in_jupyterlab() -> None:
    """Its Japanese is nearly complete: a text that it lacks is a slip, or gone from JupyterLab."""
    pack = find_spec("jupyterlab_language_pack_ja_JP")
    assert pack is not None
    assert pack.origin is not None
    whole = Path(pack.origin).parent / "locale/ja_JP/LC_MESSAGES/jupyterlab.json"
    japanese = json.loads(whole.read_text(encoding="utf-8"))
    for key, texts in interface.read_added_texts("id_ID").items():
        assert len(texts) == len(japanese[key]), key
        assert re.findall(r"%\d", texts[0]) == re.findall(r"%\d", key)


def answers(address: str) -> bool:
    try:
        httpx.get(address)
    except httpx.HTTPError:
        return False
    return True


@pytest.fixture(params=[code for code in ("ja", "id") if lessons(code)] or ["en"])
def jupyterlab(request: pytest.FixtureRequest, work: Path) -> Iterator[tuple[str, str, Path]]:
    """A running `make lab`: its language, address and folder."""
    command = [sys.executable, "-m", "notebooks.lab", "--no-browser", "--port", "18888"]
    with Program([*command, "--lang", request.param]) as program:
        address = re.findall(r"http://\S+", program.wait_for("token=").text)[0]
        wait_until(lambda: answers(address), 60)
        yield request.param, address, work
        program.stop()


def test_jupyterlab_shows_lessons_and_glossary_in_its_language(
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
    (work / code / "glossary.md").write_text(glossary.page(glossary.load(), lambda _message: None))
    link = nbformat.v4.new_markdown_cell("A [wrapper](glossary.md#wrapper)")  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=[link])  # type: ignore[no-untyped-call]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, work / code / "link.ipynb")  # type: ignore[no-untyped-call]
    page.goto(f"{base}/lab/tree/{code}/link.ipynb?reset")
    page.locator(".jp-Notebook a", has_text="wrapper").click()
    row = page.locator(".jp-MarkdownViewer tr", has=page.locator('[data-jupyter-id="wrapper"]'))
    row.wait_for()
    wait_until(lambda: row.evaluate(IS_ON_SCREEN), 10)
    page.goto(f"{base}/lab/tree/{code}/glossary.md?reset")  # as by a double click
    page.locator(".jp-MarkdownViewer table").wait_for()
    page.close()
