"""Three modules, alone and idle at import: a fault is named, and nothing else."""

from pathlib import Path

import pytest

from challenges.minimal_service.grading.context import Report
from challenges.minimal_service.grading.criteria import structure
from challenges.minimal_service.grading.verdict import CriterionResult
from tests.challenges.minimal_service.grading.submissions import (
    MODEL,
    PREPROCESSING,
    RUNNER,
    TOML,
    failed,
    grade_of,
    opened,
    write_default,
    write_fake,
)


def judged(tmp_path: Path, toml: str = TOML, **modules: str) -> CriterionResult:
    submission = opened(write_fake(tmp_path / "mine", toml=toml, **modules), tmp_path / "grade")
    return structure.judge(grade_of(submission), submission)


def imported(tmp_path: Path, toml: str = TOML, **modules: str) -> CriterionResult:
    """Judge the imports of the given modules, without starting the service."""
    submission = opened(write_fake(tmp_path / "mine", toml=toml, **modules), tmp_path / "grade")
    report = Report("structure")
    for name in modules:
        if name in submission.modules:
            structure.check_import(report, submission, name)
    return report.result()


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
