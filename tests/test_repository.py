"""Promises of the repository itself: its commands, its lock file, the direction of its imports."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from learner import setup_environment
from service.artifact.sample_photos import OTHER_PICTURES, SAMPLE_PHOTOS
from service.settings import ROOT

SERVICE_MODULES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for path in (ROOT / "service").rglob("*.py")
)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_make_alone_lists_the_targets_with_a_line_each() -> None:
    lines = run("make", "--no-print-directory").stdout.splitlines()
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [line.split()[1] for line in lines] == targets
    assert all(len(line.split(maxsplit=2)) == 3 for line in lines)


def test_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", (ROOT / "README.md").read_text())
    local = [link.partition("#")[0] for link in links if "://" not in link]
    assert len(local) > 10
    assert [link for link in local if not (ROOT / link).exists()] == []


def test_set_up_is_done_once() -> None:
    done = run("make", "--no-print-directory", "setup")
    assert (done.returncode, done.stdout) == (0, "")


def test_lock_has_a_hash_for_everything_and_names_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.findall(r"^\S+==\S+.*?(?=^\S|\Z)", lock, re.MULTILINE | re.DOTALL)
    assert len(entries) > 100
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in lock
    assert not re.search(r"^-", lock, re.MULTILINE)


def test_lock_holds_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = (ROOT / "requirements.lock").read_text()
    extras = project["optional-dependencies"].values()
    for requirement in [*project["dependencies"], *(one for extra in extras for one in extra)]:
        name = re.split(r"[\[<>=]", requirement)[0]
        assert re.search(rf"^{re.escape(name)}(\[.*?\])?==", lock, re.MULTILINE), name


@pytest.mark.parametrize("version", [(3, 10), (3, 14), (2, 7)])
def test_unsupported_python_is_named_with_the_fix(
    version: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.version_info", (*version, 0))
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(
        setup_environment.SetupError, match=r"this is Python \d.*make setup PYTHON="
    ):
        setup_environment.find_python()


def test_interrupted_set_up_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run starts over with what is missing; the stamp is written last."""
    steps: list[str] = []
    stamp = tmp_path / "stamp"
    monkeypatch.setattr(setup_environment, "STAMP", str(stamp))
    monkeypatch.setattr(setup_environment, "create_virtual_environment", steps.append)
    monkeypatch.setattr(setup_environment, "run", lambda *_: None)

    def interrupted(*_: str) -> None:
        steps.append("pip")
        if steps.count("pip") == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(setup_environment, "pip", interrupted)
    with pytest.raises(SystemExit, match="run the same command again"):
        setup_environment.main()
    assert not stamp.exists()
    setup_environment.main()
    assert stamp.read_text() == setup_environment.digest_of_inputs()
    assert steps.count("pip") == 3  # one interrupted; then the packages and the project
    setup_environment.main()
    assert steps.count("pip") == 3


@pytest.mark.parametrize("module", SERVICE_MODULES)
def test_service_imports_nothing_of_the_workshop(module: str) -> None:
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert not imported & {"notebooks", "challenges", "quizzes", "tests", "IPython", "jupyterlab"}


def test_modules_do_no_work_at_import() -> None:
    """No file is written, no socket opened, no process or thread started."""
    script = (
        "import importlib, sys\n"
        "def forbid(event, arguments):\n"
        "    writes = event == 'open' and set(str(arguments[1])) & set('wax+')\n"
        "    writes = writes and '__pycache__' not in str(arguments[0])\n"
        "    if writes or event in ('socket.connect', 'socket.bind', 'subprocess.Popen'):\n"
        "        raise AssertionError((event, arguments))\n"
        "import numpy, PIL.Image, fastapi, uvicorn, pydantic_settings, psutil, torch, torchvision\n"
        "import onnxruntime.quantization, onnx.reference, safetensors.torch\n"
        "sys.addaudithook(forbid)\n"
        "import threading; before = threading.active_count()\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "assert threading.active_count() == before\n"
        "print('quiet')"
    )
    modules = [name for name in SERVICE_MODULES if not name.endswith("__main__")]
    done = run(sys.executable, "-c", script, *modules)
    assert done.stdout == "quiet\n", done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("path", sorted(ROOT.glob("service/**/*.py")), ids=lambda path: path.name)
def test_a_file_fits_in_a_head(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


def test_sample_photos_are_there_with_their_licence() -> None:
    assert len({photo.name for photo in SAMPLE_PHOTOS}) == len(SAMPLE_PHOTOS) >= 7
    for photo in (*SAMPLE_PHOTOS, *OTHER_PICTURES):
        assert photo.path.is_file()
        assert photo.licence
        assert photo.credit
    with pytest.raises(FileNotFoundError, match="is not installed: make setup"):
        type(SAMPLE_PHOTOS[0])("x", "no_such_package", "x.jpg", (), "", "").read()
