"""The faults that the selftest plants fit the code, and the grader finds the cheap ones.

The whole selftest (`make grade-selftest`) takes hours; here each edit is made, and a few faults are
judged by the criterion that they break, with the model of the default bundle.
"""

import compileall
import hashlib
import importlib
import json
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from challenges.catalogue.model import make_model
from challenges.load.client import ask
from challenges.load.images import PhotoMaker
from challenges.minimal_service.grading.context import Grade
from challenges.minimal_service.grading.criteria.answers import Asked
from challenges.minimal_service.grading.criteria.answers import judge as judge_answers
from challenges.minimal_service.grading.measuring.oracle import Truth
from challenges.minimal_service.grading.submission.description import read_description
from challenges.minimal_service.grading.submission.running import RunningService
from challenges.minimal_service.grading.submission.submission import Submission, open_submission
from challenges.minimal_service.grading.verdict import (
    POINTS,
    CriterionId,
    CriterionResult,
    Verdict,
)
from service.artifact.verify import Bundle
from tests.challenges.minimal_service.verdicts import criterion, series, verdict
from tests.selftest import __main__ as selftest
from tests.selftest import experiments
from tests.selftest.bases import SUBMISSION, copy_base, plant
from tests.selftest.cheats import CHEATS
from tests.selftest.edits import EditError
from tests.selftest.experiments import FAULTS, Bench, judge_verdict
from tests.selftest.faults import Fault, criteria
from tests.selftest.grading import GradeError
from tests.selftest.mutants import MUTANTS
from tests.selftest.reference_mutants import REFERENCE_MUTANTS
from tests.selftest.table import Row, table

BY_NAME = {fault.name: fault for fault in FAULTS}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both right submissions, as code."""
    folder = tmp_path_factory.mktemp("bases")
    return {
        "submission": copy_base("submission", folder / "submission"),
        "reference": copy_base("reference", folder / "reference"),
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The research model of 1,000 classes, whose exported form is in the default bundle."""
    return make_model(tmp_path_factory.mktemp("model") / "model", editions=1).path


@pytest.fixture(scope="module")
def truth(model: Path) -> Truth:
    """The research model, asked by all tests that compare answers."""
    return Truth(model)


@pytest.fixture(scope="module")
def served(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The right submission with an artifact: not built, but made from the default bundle's ONNX."""
    folder = copy_base("submission", tmp_path_factory.mktemp("served") / "submission")
    description = (folder / "service.toml").read_text()
    kept = [line for line in description.splitlines() if not line.startswith("buil")]
    (folder / "service.toml").write_text("\n".join(kept))
    artifact = folder / "artifact"
    artifact.mkdir()
    shutil.copy(bundle.path / "model.onnx", artifact)
    (artifact / "labels.txt").write_text("\n".join(bundle.manifest.labels) + "\n")
    for name in ("preprocessing.py", "model_definition.py"):
        shutil.copy(folder / name, artifact)
    sums = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in artifact.iterdir()}
    (artifact / "manifest.json").write_text(json.dumps({"sha256": sums}))
    return folder


Opened = Callable[[str], tuple[Grade, Submission]]


@pytest.fixture
def opened(served: Path, model: Path, tmp_path: Path) -> Opened:
    """Opens the right submission, or it with a fault, as a grade does."""

    def open_it(name: str) -> tuple[Grade, Submission]:
        (tmp_path / "grade").mkdir()
        folder = served
        if name != "right":
            folder = plant(BY_NAME[name], served, tmp_path / "planted")
        submission = open_submission(str(folder), tmp_path / "grade", model, say=print)
        return Grade(model, True, lambda _: None, seed=5), submission

    return open_it


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_fault_fits_the_present_code(
    fault: Fault, bases: dict[str, Path], tmp_path: Path
) -> None:
    base = bases[fault.base]
    folder = plant(fault, base, tmp_path / "planted")
    changed = {
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file()
        and (
            not (base / path.relative_to(folder)).exists()
            or path.read_bytes() != (base / path.relative_to(folder)).read_bytes()
        )
    }
    assert changed, "the edit changes nothing"
    assert all(
        compileall.compile_file(folder / path, quiet=1) for path in changed if path.suffix == ".py"
    )
    assert read_description(folder)


def test_there_are_enough_faults_and_every_criterion_is_broken() -> None:
    assert len(BY_NAME) == len(FAULTS)
    assert len([*MUTANTS, *REFERENCE_MUTANTS]) >= 12
    assert sum(cheat.zero_points for cheat in CHEATS) >= 6
    assert set().union(*(fault.breaks for fault in FAULTS)) == set(POINTS)
    assert all(cheat.breaks == {"answers"} for cheat in CHEATS if cheat.zero_points)
    assert not any(fault.breaks & fault.may_break for fault in [*MUTANTS, *REFERENCE_MUTANTS])


def test_an_edit_that_fits_no_more_names_itself(bases: dict[str, Path], tmp_path: Path) -> None:
    base = Path(shutil.copytree(bases["submission"], tmp_path / "changed"))
    (base / "preprocessing.py").write_text("# rewritten\n")
    with pytest.raises(EditError, match=r"^squashed: preprocessing.py holds 0 times") as caught:
        plant(BY_NAME["squashed"], base, tmp_path / "planted")
    assert "RESIZE * side / short" in str(caught.value)


def test_the_right_submission_is_small() -> None:
    files = [path for path in SUBMISSION.iterdir() if path.is_file()]
    assert sum(len(path.read_text().splitlines()) for path in files) <= 360
    assert tomllib.loads((SUBMISSION / "service.toml").read_text())["container"]


def judge(module: str, grade: Grade, submission: Submission) -> CriterionResult:
    criterion = importlib.import_module(f"challenges.minimal_service.grading.criteria.{module}")
    result: CriterionResult = criterion.judge(grade, submission)
    return result


@pytest.mark.parametrize(
    ("fault", "module"),
    [
        ("web-framework-in-preprocessing", "structure"),
        ("loads-at-first-request", "load_once"),
        ("no-container-file", "packaging"),
    ],
)
def test_the_criterion_fails(fault: str, module: str, opened: Opened) -> None:
    result = judge(module, *opened(fault))
    assert (result.id, result.status) == (next(iter(BY_NAME[fault].breaks)), "failed")
    assert result.cause


@pytest.mark.parametrize("module", ["load_once", "packaging"])
def test_the_right_submission_passes(module: str, opened: Opened) -> None:
    result = judge(module, *opened("right"))
    assert result.status == "passed", [check.text for check in result.checks if not check.passed]


@pytest.mark.parametrize(("name", "points"), [("right", POINTS["answers"]), ("constant", 0)])
def test_cheats_keep_no_point_for_their_answers(
    name: str, points: float, opened: Opened, truth: Truth
) -> None:
    grade, submission = opened(name)
    photos = PhotoMaker(grade.seed).photos(12)
    with RunningService(submission) as service:
        service.wait_until_ready()
        sampled = [(photo, ask(service.port, "/predict", 10, photo).body) for photo in photos]
    asked = Asked(lives=True)
    result, _ = judge_answers(asked, sampled, truth)
    assert result.points == points, result.checks


def a_verdict(
    *failed: CriterionId,
    points: float = 1,
    measured: dict[str, float] | None = None,
    status: Literal["passed", "not-checked"] = "passed",
) -> Verdict:
    more = {} if measured is None else {"measured": measured}
    return verdict(
        [
            criterion(name, "failed", points, **more) if name in failed else criterion(name, status)
            for name in POINTS
        ],
        series(1),
    )


def test_a_row_holds_only_for_exactly_what_the_fault_breaks() -> None:
    fault = Fault("f", "", lambda _: None, criteria("artifact"), criteria("load"))
    assert judge_verdict(fault, a_verdict("artifact")).holds
    assert judge_verdict(fault, a_verdict("artifact", "load")).holds
    assert not judge_verdict(fault, a_verdict()).holds
    assert not judge_verdict(fault, a_verdict("load")).holds
    other = judge_verdict(fault, a_verdict("artifact", "memory"))
    assert not other.holds
    assert other.found == "artifact, memory (again)"
    open_ = judge_verdict(fault, a_verdict(status="not-checked"))
    assert open_.holds is None
    assert "could not be checked: artifact" in open_.found


def test_points_that_are_left_and_a_missed_pause_are_seen() -> None:
    fault = Fault("f", "", lambda _: None, criteria("answers"), zero_points=True)
    assert not judge_verdict(fault, a_verdict("answers", points=3)).holds
    assert judge_verdict(fault, a_verdict("answers", points=0)).holds
    pause = Fault("p", "", lambda _: None, criteria("load"), p99_ms=200)
    assert judge_verdict(pause, a_verdict("load", measured={"p99_ms": 210})).holds
    assert not judge_verdict(pause, a_verdict("load", measured={"p99_ms": 60})).holds


def test_table_says_what_does_not_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"one": Row("one", "loses load", "load", True), "two": Row("two", "x", "y", False)}
    made = {name: (lambda _, row=row: row) for name, row in rows.items()}
    monkeypatch.setattr(selftest, "experiments", lambda: made)
    assert selftest.main(["--quick", "--times", "1"]) == 1
    assert "1 of 2 hold\ndo not hold: two" in capsys.readouterr().out
    assert selftest.main(["--only", "one"]) == 0
    assert "two" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        selftest.main(["--times", "0"])


def test_a_grader_that_gives_no_verdict_does_not_hold(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(*_: object) -> None:
        raise GradeError("no verdict\nlast words")

    monkeypatch.setattr(experiments, "grade", fails)
    with Bench(quick=True, times=1, model=tmp_path).opened() as bench:
        monkeypatch.setattr(Bench, "model_of", lambda *_: tmp_path)
        row = experiments.run_experiment(
            "submission", experiments.experiments()["submission"], bench
        )
    assert row.holds is False
    assert row.found == "no verdict · last words"
    assert "NO" in table([replace(row, seconds=1)])
