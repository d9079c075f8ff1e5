"""An incomplete artifact is named, and so is a service that does not notice damage."""

from pathlib import Path

import pytest

from challenges.minimal_service.grading.criteria import artifact, offline
from challenges.minimal_service.grading.submission.submission import Submission
from challenges.minimal_service.grading.verdict import CriterionResult
from tests.challenges.minimal_service.grading.submissions import (
    RUNNER,
    TOML,
    failed,
    grade_of,
    opened,
    write_default,
    write_fake,
)

UNCHECKED = RUNNER.replace("sums[0] != own", "False").replace("in sums[1:]:", "in ():")


def judged(tmp_path: Path, quick: bool = True, **code: str) -> CriterionResult:
    submission = opened(write_fake(tmp_path / "mine", **code), tmp_path / "grade")
    return artifact.judge(grade_of(submission, quick), submission)


def contents(submission: Submission) -> dict[Path, bytes]:
    files = [*submission.built.rglob("*"), *submission.artifact.rglob("*")]
    return {path: path.read_bytes() for path in files if path.is_file()}


def test_the_reference_service_passes(tmp_path: Path) -> None:
    submission = opened(write_default(tmp_path / "mine"), tmp_path / "grade")
    before = contents(submission)
    result = artifact.judge(grade_of(submission), submission)
    assert failed(result) == {}
    assert result.status == "passed"
    assert contents(submission) == before


def test_a_small_right_service_passes_and_leaves_nothing(tmp_path: Path) -> None:
    result = judged(tmp_path, quick=False)
    assert failed(result) == {}
    ids = [check.id for check in result.checks if check.passed]
    assert len([id_ for id_ in ids if id_.startswith("weights-flip")]) == 6
    assert {"moved-starts", "moved-answers-same", "settings-flip-1-refused"} < set(ids)
    left = {path.name for path in (tmp_path / "grade").iterdir()}
    assert left == {"submission", "python"}


def test_damage_that_goes_unseen(tmp_path: Path) -> None:
    result = judged(tmp_path, quick=False, inference_runner=UNCHECKED)
    found = failed(result)
    assert {"weights-flip-1-refused", "weights-flip-2-refused", "weights-flip-3-refused"} <= set(
        found
    )
    assert "started all the same" in found["weights-flip-1-refused"]
    assert "moved-starts" not in found
    assert 0 < result.points < result.most


def test_a_refusal_that_does_not_name_the_file(tmp_path: Path) -> None:
    runner = RUNNER.replace('f"error: {name} was changed"', '"error"')
    found = failed(judged(tmp_path, inference_runner=runner))
    assert "weights-flip-1-named" in found
    assert not [id_ for id_ in found if id_.endswith("refused")]


def test_a_refusal_with_status_0_is_none(tmp_path: Path) -> None:
    runner = RUNNER.replace('sys.exit(f"error: {name} was changed")', "sys.exit(0)")
    assert (
        "exit status 0"
        in failed(judged(tmp_path, inference_runner=runner))["weights-flip-1-refused"]
    )


def test_a_refusal_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "REFUSAL_SECONDS", 1.5)
    hang = "(print(name), __import__('time').sleep(600))"
    runner = RUNNER.replace('sys.exit(f"error: {name} was changed")', hang)
    found = failed(judged(tmp_path, inference_runner=runner))
    assert "did not end" in found["weights-flip-1-refused"]


def test_a_service_that_needs_its_build_script(tmp_path: Path) -> None:
    needs = "if not Path('build_artifact.py').exists(): sys.exit('where is build_artifact.py?')"
    found = failed(judged(tmp_path, before=needs))
    assert set(found) == {"moved-starts"}
    assert "where is build_artifact.py?" in found["moved-starts"]
    assert "build_artifact.py" in found["moved-starts"]


@pytest.mark.skipif(not offline.find_namespace(), reason="namespaces are not permitted here")
def test_a_service_that_reads_what_it_was_built_from(tmp_path: Path) -> None:
    model = tmp_path / "model" / "labels.txt"
    assert set(failed(judged(tmp_path, before=f"Path({str(model)!r}).read_text()"))) == {
        "moved-starts"
    }


def test_other_answers_elsewhere(tmp_path: Path) -> None:
    submission = opened(write_fake(tmp_path / "mine"), tmp_path / "grade")
    grade = grade_of(submission)
    grade.answers = [[(999, 0.9), (1000, 0.1)]] * artifact.PHOTOS
    assert set(failed(artifact.judge(grade, submission))) == {"moved-answers-same"}


def test_a_service_that_writes_to_its_artifact(tmp_path: Path) -> None:
    writes = "(options.artifact / 'labels.txt').open('a').close(); os.utime(options.artifact / "
    writes += "'labels.txt', (1, 1))"
    found = failed(judged(tmp_path, before=writes))
    assert set(found) == {"artifact-untouched"}
    assert "labels.txt" in found["artifact-untouched"]


def test_an_artifact_of_weights_alone(tmp_path: Path) -> None:
    toml = TOML.replace('["weights.bin"]', '["*"]')
    assert "artifact-has-settings" in failed(judged(tmp_path, toml=toml))


def test_a_service_that_does_not_start(tmp_path: Path) -> None:
    result = judged(tmp_path, ready="sys.exit('no memory')")
    assert "no memory" in failed(result)["service-starts"]
    assert result.points == 0
