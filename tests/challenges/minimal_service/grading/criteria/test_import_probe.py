"""An import in a process of its own shows what it does."""

from pathlib import Path

import pytest

from challenges.minimal_service.grading.context import Report
from challenges.minimal_service.grading.criteria import structure
from challenges.minimal_service.grading.verdict import CriterionResult
from tests.challenges.minimal_service.grading.submissions import (
    MODEL,
    PREPROCESSING,
    TOML,
    failed,
    opened,
    write_fake,
)


def imported(tmp_path: Path, toml: str = TOML, **modules: str) -> CriterionResult:
    """Judge the imports of the given modules, without starting the service."""
    submission = opened(write_fake(tmp_path / "mine", toml=toml, **modules), tmp_path / "grade")
    report = Report("structure")
    for name in modules:
        if name in submission.modules:
            structure.check_import(report, submission, name)
    return report.result()


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
    found = failed(imported(tmp_path, model_definition="import signal; signal.pause()"))
    assert "was not done after 2 s" in found["model-definition-imports-alone"]
