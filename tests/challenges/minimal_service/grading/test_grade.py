"""Whole grades: the reference with the default bundle, and submissions that cannot be graded."""

import signal
import threading
from pathlib import Path

import psutil
import pytest

from challenges.__main__ import main
from challenges.catalogue.model import make_model
from challenges.minimal_service.commands import NOT_PASSED
from challenges.minimal_service.grading.criteria import artifact
from challenges.minimal_service.grading.criteria.load import Plan
from challenges.minimal_service.grading.grade import TookTooLong, grade, limit_time
from challenges.minimal_service.grading.measuring import calibration as machine
from challenges.minimal_service.grading.verdict import POINTS, CriterionResult, Machine, Verdict
from tests.challenges.minimal_service.grading.submissions import write_default, write_fake

SHORT = Plan(seconds=2, steps=(), sampled=16)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 1,000 classes that the default bundle knows."""
    folder = tmp_path_factory.mktemp("model") / "real"
    return make_model(folder, editions=1, say=lambda _: None).path


@pytest.fixture(autouse=True)
def known_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring it takes seconds, and is tested elsewhere. The rate is one that any can hold."""
    found = Machine(
        cores=2,
        memory_gb_s=20,
        arithmetic_gflop_s=100,
        noise=0.1,
        floor_ms=8,
        target_rate=10,
        target_reason=None,
    )
    monkeypatch.setattr(machine, "calibrate", lambda _model: found)


def by_id(verdict: Verdict) -> dict[str, CriterionResult]:
    return {result.id: result for result in verdict.criteria}


def test_the_reference_passes_all_that_noise_cannot_spoil(tmp_path: Path, model: Path) -> None:
    folder = write_default(tmp_path / "own")
    said: list[str] = []
    verdict = grade(str(folder), model, quick=True, seed=4, say=said.append, plan=SHORT)
    results = by_id(verdict)
    assert list(results) == list(POINTS)
    for name in ("structure", "load-once", "artifact", "answers"):
        assert results[name].status == "passed", results[name].model_dump_json()
    assert results["answers"].points == 20
    assert results["answers"].measured["agreement"] == 1
    assert results["answers"].measured["formats_right"] == 22
    assert len(verdict.series.latency_ms) == 20
    assert verdict.series.memory_mib or results["memory"].status == "not-checked"
    assert any("quick" in sentence for sentence in verdict.not_checked)
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict
    assert len([line for line in said if line.startswith("[")]) == 5
    assert not [child for child in psutil.Process().children() if child.is_running()]


def run(tmp_path: Path, *arguments: str) -> tuple[int, Verdict]:
    file = tmp_path / "verdict.json"
    status = main(["grade", *arguments, "--quick", "--json", str(file), "--seed", "1"])
    return status, Verdict.model_validate_json(file.read_text())


def test_a_service_that_never_starts_is_a_verdict_that_names_it(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_fake(tmp_path / "own", before="sys.exit('error: no such thing')")
    page = tmp_path / "verdict.html"
    status, verdict = run(tmp_path, str(folder), "--model", str(model), "--html", str(page))
    assert status == NOT_PASSED
    assert not verdict.passed
    results = by_id(verdict)
    for name in ("load-once", "answers", "load", "memory", "availability"):
        assert results[name].status == "failed"
        assert results[name].points == 0
        assert "no such thing" in str(results[name].cause)
    assert results["structure"].status == "passed"
    assert "<html" in page.read_text()
    shown = capsys.readouterr()
    assert "[5/5]" in shown.err
    assert "Traceback" not in shown.err + shown.out


def test_no_such_folder_is_a_verdict_too(tmp_path: Path, model: Path) -> None:
    status, verdict = run(tmp_path, str(tmp_path / "nothing"), "--model", str(model))
    assert status == NOT_PASSED
    results = by_id(verdict)
    assert "nothing" in str(results["structure"].cause)
    assert {result.status for result in verdict.criteria} == {"failed", "not-checked"}
    assert verdict.score == 0


def test_a_path_that_cannot_be_used_is_named_first(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    blocked = str(tmp_path / "file" / "verdict.json")
    assert main(["grade", "starter", "--model", str(model), "--json", blocked]) == 1
    assert "Cannot write" in capsys.readouterr().err
    assert main(["grade", "starter", "--model", str(tmp_path)]) == 1
    assert "weights.safetensors" in capsys.readouterr().err


def test_an_error_of_the_grader_fails_its_part_alone(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from challenges.minimal_service.grading import grade as module

    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError("a fault of the grader")

    monkeypatch.setattr(module, "judge_service", broken)
    monkeypatch.setattr(artifact, "judge", broken)
    verdict = grade(
        str(write_fake(tmp_path / "own")), model, quick=True, seed=1, say=lambda _: None
    )
    results = by_id(verdict)
    assert results["structure"].status == "passed"
    assert "a fault of the grader" in str(results["load"].cause)
    assert results["artifact"].points == 0
    assert not verdict.passed


def test_no_part_goes_on_for_ever() -> None:
    with pytest.raises(TookTooLong, match=r"more than 0\.1 s"), limit_time(0.1):
        threading.Event().wait(10)
    with limit_time(0.1):
        pass
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0  # no alarm is left
