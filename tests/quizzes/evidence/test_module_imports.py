"""Which packages a module imports is found in a fresh process."""

import subprocess

import pytest

from quizzes.evidence.module_imports import needs


def test_hidden_packages_that_a_module_asks_for() -> None:
    assert needs("json") == []
    assert needs("quizzes.evidence.reading_weights", ["onnxruntime", "fastapi"]) == ["onnxruntime"]


def test_another_error_is_not_taken_for_a_missing_package() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        needs("no_such_module", ["torch"])
