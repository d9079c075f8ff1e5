"""Weights that are read at the wrong time are noticed, however they are read."""

from pathlib import Path

import pytest

from challenges.minimal_service.grading.context import Report
from challenges.minimal_service.grading.criteria import load_once
from challenges.minimal_service.grading.sandbox import file_watch
from challenges.minimal_service.grading.sandbox.file_watch import can_watch, watch_files
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

WEIGHTS = "(options.artifact / 'weights.bin')"


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_once, "IDLE_S", 0.2)


def judged(tmp_path: Path, toml: str = TOML, **code: str) -> CriterionResult:
    submission = opened(write_fake(tmp_path / "mine", toml=toml, **code), tmp_path / "grade")
    return load_once.judge(grade_of(submission), submission)


needs_inotify = pytest.mark.skipif(
    not can_watch(Path(__file__).parent), reason="opened files cannot be seen here"
)


@needs_inotify
def test_the_reference_service_passes(tmp_path: Path) -> None:
    submission = opened(write_default(tmp_path / "mine"), tmp_path / "grade")
    result = load_once.judge(grade_of(submission), submission)
    assert failed(result) == {}
    assert result.status == "passed"
    assert result.measured["read_before_ready_mb"] > result.measured["weights_mb"]


@needs_inotify
def test_a_small_right_service_passes(tmp_path: Path) -> None:
    result = judged(tmp_path)
    assert failed(result) == {}
    assert result.points == result.most


@needs_inotify
@pytest.mark.parametrize(
    "post",
    [
        f"{WEIGHTS}.read_bytes()",
        f"import mmap\nwith {WEIGHTS}.open('rb') as f: mmap.mmap(f.fileno(), 0, prot=1).close()",
        f"if not hasattr(runner, 'late'): runner.late = {WEIGHTS}.read_bytes()",
    ],
)
def test_weights_read_by_requests(tmp_path: Path, post: str) -> None:
    found = failed(judged(tmp_path, post=post))
    assert "weights.bin" in found["weights-not-read-after-ready"]


@needs_inotify
def test_weights_read_again_through_a_file_left_open(tmp_path: Path) -> None:
    found = failed(
        judged(tmp_path, before=f"left = {WEIGHTS}.open('rb')", post="left.seek(0); left.read()")
    )
    assert set(found) == {"weights-not-read-after-ready", "little-read-per-request"}


@needs_inotify
def test_a_lazy_load_in_the_background_after_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_once, "IDLE_S", 1.0)
    lazy = f"threading.Timer(0.2, {WEIGHTS}.read_bytes).start()"
    assert set(failed(judged(tmp_path, get=lazy))) == {"weights-not-read-after-ready"}


@needs_inotify
def test_a_service_that_is_ready_before_it_has_loaded(tmp_path: Path) -> None:
    runner = """
    import functools
    import eager

    class Runner:
        def __init__(self, artifact):
            self.artifact = artifact

        @functools.cached_property
        def loaded(self):
            return eager.Runner(self.artifact)

        def predict(self, image):
            return self.loaded.predict(image)
    """
    found = failed(judged(tmp_path, inference_runner=runner, eager=RUNNER))
    assert set(found) == {"weights-read-before-ready", "weights-not-read-after-ready"}


@needs_inotify
def test_a_copy_in_the_temporary_folder_is_seen(tmp_path: Path) -> None:
    copy = "import shutil, tempfile; copy = shutil.copy(options.artifact / 'weights.bin', "
    copy += "tempfile.gettempdir())"
    found = failed(judged(tmp_path, before=copy, post="Path(copy).read_bytes()"))
    assert set(found) == {"weights-not-read-after-ready", "little-read-per-request"}


def test_a_copy_elsewhere_is_noticed_by_how_much_is_read(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(bytes(500_000))
    found = failed(judged(tmp_path, post=f"Path({str(elsewhere)!r}).read_bytes()"))
    assert set(found) == {"little-read-per-request"}


@needs_inotify
def test_declared_weights_that_are_not_used(tmp_path: Path) -> None:
    toml = TOML.replace('["weights.bin"]', '["weights.bin", "spare.bin"]')
    folder = write_fake(tmp_path / "mine", toml=toml)
    build = folder / "build_artifact.py"
    build.write_text(build.read_text() + "\n(artifact / 'spare.bin').write_bytes(b'1')\n")
    submission = opened(folder, tmp_path / "grade")
    found = failed(load_once.judge(grade_of(submission), submission))
    assert set(found) == {"weights-read-before-ready"}
    assert "spare.bin" in found["weights-read-before-ready"]


def test_a_service_that_does_not_start_or_answer(tmp_path: Path) -> None:
    dead = judged(tmp_path / "a", ready="sys.exit('no memory')")
    assert "no memory" in failed(dead)["service-starts"]
    assert dead.points == 0
    mute = judged(tmp_path / "b", post="return self.answer(500, b'')")
    assert "0 of 12" in failed(mute)["answered-while-watched"]


def test_where_files_cannot_be_watched_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_watch, "can_watch", lambda _folder: False)
    result = judged(tmp_path)
    unchecked = [check for check in result.checks if check.passed is None]
    assert len(unchecked) == 2
    assert "cannot be seen on this machine" in unchecked[0].text
    assert result.status == "passed"


@needs_inotify
@pytest.mark.parametrize("reads", [False, True])
def test_weights_read_by_one_request_of_many_are_seen(tmp_path: Path, reads: bool) -> None:
    submission = opened(write_fake(tmp_path / "mine"), tmp_path / "grade")
    before = Report("load-once")
    before.check("weights-not-read-after-ready", True, "not by a dozen requests")
    with watch_files(submission.folder.parent) as files:
        (submission.folder / "notes.txt").write_bytes(b"small")
        if reads:
            submission.weights[0].read_bytes()
        assert files is not None
        result = load_once.judge_load(before.result(), submission, files.take())
    assert [check.passed for check in result.checks] == [True, not reads]
    assert result.status == ("failed" if reads else "passed")
    if reads:
        assert "weights.bin" in failed(result)["weights-not-read-under-load"]
        assert "Load them once" in (result.cause or "")
