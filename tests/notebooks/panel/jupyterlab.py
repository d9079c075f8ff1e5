"""A real JupyterLab with one notebook, driven by a real browser."""

import json
import os
import re
import socket
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Error, Locator, Page

from learner.processes import Program
from service.settings import ROOT
from tests.conftest import wait_until

CELLS = ("from notebooks.panel import panel\npanel()",)


@dataclass
class Lab:
    """A running JupyterLab."""

    url: str
    folder: Path

    def write(self, name: str, *cells: str) -> None:
        """Write a notebook that has not been run."""
        notebook = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        notebook.cells = [
            nbformat.v4.new_code_cell(cell)  # type: ignore[no-untyped-call]
            for cell in cells
        ]
        nbformat.write(notebook, self.folder / name)  # type: ignore[no-untyped-call]

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/{path}") as answer:
            return json.load(answer)

    def ask(self, method: str, path: str) -> None:
        data = b"{}" if method == "POST" else None
        request = urllib.request.Request(f"{self.url}/{path}", method=method, data=data)
        urllib.request.urlopen(request).close()

    def open(self, page: Page, name: str, app: str = "lab/tree") -> None:
        """Open a notebook in a fresh workspace, and wait for its kernel.

        `app` is "lab/tree", or "notebooks" for Notebook 7, if that is installed.
        """
        page.goto(f"{self.url}/{app}/{name}?reset")
        page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell")
        page.add_style_tag(content=".Toastify { display: none }")  # JupyterLab's offer of news
        # JupyterLab's own indicator says idle before a kernel is attached.
        wait_until(lambda: self._kernel_is_idle(name), 30)

    def _kernel_is_idle(self, name: str) -> bool:
        return any(
            session["path"] == name
            and session["kernel"]["connections"] > 0
            and session["kernel"]["execution_state"] == "idle"
            for session in self.get("api/sessions")
        )

    def run(self, page: Page, name: str, app: str = "lab/tree") -> Locator:
        """Open a notebook and run its first cell; return its first live panel."""
        self.open(page, name, app)
        self.execute(page, 0)
        panel = page.locator(".workshop-panel[data-home=lab]").first
        panel.wait_for()
        return panel

    def execute(self, page: Page, cell: int) -> None:
        """Run a cell that has not been run, and see that it has begun."""
        begun = re.compile(r"\[(\*|\d+)\]")
        for _attempt in range(10):
            page.locator(".jp-CodeCell .cm-content").nth(cell).click()
            page.keyboard.press("Shift+Enter")
            try:  # JupyterLab silently drops a run that comes too early
                prompt = page.locator(".jp-CodeCell .jp-InputPrompt").nth(cell)
                prompt.get_by_text(begun).wait_for(timeout=1000)
                return
            except Error:
                continue
        raise AssertionError(f"cell {cell} does not run")

    def shut_down(self) -> None:
        """End all kernels."""
        for session in self.get("api/sessions"):
            self.ask("DELETE", f"api/sessions/{session['id']}")


@contextmanager
def jupyterlab(folder: Path, language: str = "en") -> Iterator[Lab]:
    """A JupyterLab whose settings, workspaces and run-time files lie in `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    notebooks = folder / "notebooks"
    notebooks.mkdir()
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", f"--port={port}"]
    command += ["--ip=127.0.0.1", "--ServerApp.token=", "--ServerApp.password=", "--allow-root"]
    command += ["--ServerApp.disable_check_xsrf=True", f"--ServerApp.root_dir={notebooks}"]
    private = {
        name: str(folder / name.lower())
        for name in (
            "JUPYTER_CONFIG_DIR",
            "JUPYTERLAB_SETTINGS_DIR",
            "JUPYTERLAB_WORKSPACES_DIR",
            "JUPYTER_RUNTIME_DIR",
            "IPYTHONDIR",
            "WORKSHOP_FOLDER",
        )
    }
    temporary = folder / "tmp"
    temporary.mkdir()
    environment = {
        **private,
        "WORKSHOP_LANGUAGE": language,
        "TMPDIR": str(temporary),  # so that what is left behind can be found
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    with Program(command, environment) as program:
        program.wait_for("is running at", 60)
        yield Lab(f"http://127.0.0.1:{port}", notebooks)
