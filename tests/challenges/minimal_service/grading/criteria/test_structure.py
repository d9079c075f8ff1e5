"""Three modules, alone and idle at import; what is found at fault is named, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from challenges.minimal_service.grading.context import Report
from challenges.minimal_service.grading.criteria import structure
from challenges.minimal_service.grading.criteria.module_imports import read_imports
from challenges.minimal_service.grading.verdict import CriterionResult
from learner.language import speaking
from tests.challenges.minimal_service.grading.submissions import (
    MODEL,
    PREPROCESSING,
    RUNNER,
    TOML,
    grade_of,
    opened,
    write_default,
    write_fake,
)


@pytest.fixture(autouse=True)
def _in_english() -> Iterator[None]:
    with speaking("en"):
        yield


def judged(tmp_path: Path, toml: str = TOML, **modules: str) -> CriterionResult:
    submission = opened(write_fake(tmp_path / "mine", toml=toml, **modules), tmp_path / "grade")
    return structure.judge(grade_of(submission), submission)


def imported(tmp_path: Path, toml: str = TOML, **modules: str) -> CriterionResult:
    """The same of the given modules alone, without starting the service."""
    submission = opened(write_fake(tmp_path / "mine", toml=toml, **modules), tmp_path / "grade")
    report = Report("structure")
    for name in modules:
        if name in submission.modules:
            structure.check_import(report, submission, name)
    return report.result()


def failed(result: CriterionResult) -> dict[str, str]:
    return {check.id: check.text for check in result.checks if check.passed is False}


def test_the_reference_service_passes(tmp_path: Path) -> None:
    submission = opened(write_default(tmp_path / "mine"), tmp_path / "grade")
    result = structure.judge(grade_of(submission), submission)
    assert failed(result) == {}
    assert result.status == "passed"
    assert result.points == result.most


def test_a_small_right_service_passes_and_leaves_nothing(tmp_path: Path) -> None:
    result = judged(tmp_path)
    assert failed(result) == {}
    assert len(result.checks) == 13
    left = {path.name for path in (tmp_path / "grade").iterdir()}
    assert left == {"submission", "python"}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("open(__file__.replace('preprocessing.py', 'artifact/weights.bin')).close()", "weights."),
        ("import numpy; numpy.save('/tmp/x.npz', 1) if 0 else open('model.onnx', 'w')", "writes"),
        ("import socket; socket.socket().bind(('127.0.0.1', 0))", "network: socket.bind"),
        ("import subprocess; subprocess.run(['true'])", "starts other programs"),
        ("import os\nif os.fork() == 0:\n    os.execvp('sleep', ['sleep', '9'])", "other programs"),
        (
            "import threading, time; threading.Thread(target=time.sleep, args=[9]).start()",
            "leaves 1 threads",
        ),
        ("held = bytearray(b'1') * 100_000_000", "MB of memory"),
    ],
)
def test_work_at_import_is_named(tmp_path: Path, code: str, words: str) -> None:
    found = failed(imported(tmp_path, preprocessing=code + PREPROCESSING))
    found.pop("preprocessing-no-service-code", None)
    assert set(found) == {"preprocessing-no-work-at-import"}
    assert words in found["preprocessing-no-work-at-import"]


def test_a_file_read_by_native_code_is_seen(tmp_path: Path) -> None:
    # Python's audit events do not show it.
    code = "import ctypes; ctypes.CDLL(None).open(str(__file__.replace('model_definition.py', "
    code += "'artifact/weights.bin')).encode(), 0)\n"
    found = failed(imported(tmp_path, model_definition=code + MODEL))
    assert "weights.bin" in found["model-definition-no-work-at-import"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("import challenges", "No module named 'challenges'"),
        ("def preprocess(:", "SyntaxError"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("import os; os._exit(0)", "nothing"),
        ("\0", "null bytes"),
    ],
)
def test_a_module_that_cannot_be_imported(tmp_path: Path, code: str, words: str) -> None:
    found = failed(imported(tmp_path, model_definition=code))
    assert words in found["model-definition-imports-alone"]


def test_an_import_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structure, "IMPORT_SECONDS", 2.0)
    found = failed(imported(tmp_path, model_definition="import time; time.sleep(600)"))
    assert "was not done after 2 s" in found["model-definition-imports-alone"]


@pytest.mark.parametrize(
    "code",
    [
        "from fastapi import FastAPI",
        "def app():\n    import uvicorn",
        "import http.server",
        "from http import server",
        "__import__('flask' if 0 else 'starlette')",
        "import pages",
    ],
)
def test_service_code_in_a_pure_module(tmp_path: Path, code: str) -> None:
    result = imported(
        tmp_path, preprocessing=f"{code}\n{PREPROCESSING}", pages="import socketserver"
    )
    assert set(failed(result)) == {"preprocessing-no-service-code"}


def test_preprocessing_that_needs_the_model(tmp_path: Path) -> None:
    found = failed(imported(tmp_path, preprocessing="import model_definition" + PREPROCESSING))
    assert set(found) == {"preprocessing-independent"}


def test_a_module_that_needs_the_training_code(tmp_path: Path) -> None:
    toml = TOML.replace("[modules]", 'training = ["train.py"]\n[modules]')
    result = imported(tmp_path, toml, model_definition="import train" + MODEL, train="RATE = 1")
    assert set(failed(result)) == {"model-definition-independent"}


def test_modules_that_do_not_exist_or_are_one(tmp_path: Path) -> None:
    missing = judged(tmp_path / "a", TOML.replace('"preprocessing.py"', '"nothing.py"'))
    assert "nothing.py" in failed(missing)["three-modules"]
    one = judged(tmp_path / "b", TOML.replace('"preprocessing.py"', '"model_definition.py"'))
    assert "names 2" in failed(one)["three-modules"]
    assert one.points == 0


def test_a_module_beside_which_the_service_has_its_own(tmp_path: Path) -> None:
    own = RUNNER.replace("import preprocessing", "import hidden as preprocessing")
    found = failed(judged(tmp_path, inference_runner=own, hidden=PREPROCESSING))
    assert set(found) == {"preprocessing-in-use"}


def test_imports_are_followed_through_packages(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/__init__.py").write_text("")
    (tmp_path / "mine/a.py").write_text("from . import b\nfrom mine.c import x\nimport numpy.fft")
    (tmp_path / "mine/b.py").write_text("def later():\n    import torch\n    import fastapi")
    (tmp_path / "mine/c.py").write_text("from PIL import Image, ImageOps")
    found = read_imports(tmp_path / "mine/a.py", tmp_path)
    assert {path.name for path in found.files} == {"__init__.py", "a.py", "b.py", "c.py"}
    assert sorted(found.libraries) == ["PIL.Image", "PIL.ImageOps", "numpy.fft"]
    assert found.service == {}
