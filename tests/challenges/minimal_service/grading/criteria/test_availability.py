"""Small services are killed and drained: what they lose is named."""

from pathlib import Path

from challenges.load.client import ask
from challenges.minimal_service.grading.criteria import availability
from challenges.minimal_service.grading.submission.running import RunningService
from challenges.minimal_service.grading.verdict import CriterionResult
from tests.challenges.minimal_service.grading.submissions import (
    failed,
    grade_of,
    opened,
    write_fake,
)

SLOW = "time.sleep(0.2)"
"""In each answer, so that some are on their way when SIGTERM comes."""
DRAINS = """
server.daemon_threads = False

def end():
    server.shutdown()
    server.server_close()

signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=end).start())
"""
ENDS_AT_ONCE = "signal.signal(signal.SIGTERM, lambda *_: os._exit(0))"
ANOTHER_STATUS = DRAINS + "import atexit; atexit.register(os._exit, 3)"
FORGETS = """
server.daemon_threads = False
runner.weights = runner.weights[:0] + bytes([time.time_ns() // 10**8 % 251]) * 9
"""


MANY = "ThreadingHTTPServer.request_queue_size = 128\n"


def judged(tmp_path: Path, before: str = "", **code: str) -> CriterionResult:
    submission = opened(
        write_fake(tmp_path / "service", before=MANY + before, **code), tmp_path / "grade"
    )
    with RunningService(submission) as service:
        service.wait_until_ready(30)
        photos = [bytes([number]) * 100 for number in range(3)]
        known = [(photo, ask(service.port, "/predict", 10, photo).body) for photo in photos]
        result = availability.judge(grade_of(submission), submission, service, known)
        assert not service.running
        assert not service.pids()
    return result


def test_a_service_that_comes_back_and_drains_passes(tmp_path: Path) -> None:
    result = judged(tmp_path, post=SLOW, ready=DRAINS)
    assert (result.status, failed(result)) == ("passed", {})
    assert result.points == 10
    assert result.measured["back_s"] > 0


def test_one_that_ends_at_once_loses_what_it_accepted(tmp_path: Path) -> None:
    result = judged(tmp_path, post=SLOW, ready=ENDS_AT_ONCE)
    assert "drained" in failed(result)
    assert not {"back", "right-again", "exit-status"} & set(failed(result))
    assert result.cause is not None
    assert "SIGTERM" in result.cause


def test_another_exit_status_than_0_is_named(tmp_path: Path) -> None:
    result = judged(tmp_path, post=SLOW, ready=ANOTHER_STATUS)
    assert set(failed(result)) == {"exit-status"}
    [check] = [check for check in result.checks if check.id == "exit-status"]
    assert "status 3" in check.text


def test_one_that_answers_otherwise_after_its_return_is_found(tmp_path: Path) -> None:
    result = judged(tmp_path, ready=FORGETS)
    assert {"back", "right-again"} <= set(failed(result))
    assert "warm up" not in str(result.cause)  # no request failed


def test_a_different_answer_is_not_taken_for_a_cold_start() -> None:
    assert "warm up" in availability._explain_return(wrong=0, failed=True)
    said = availability._explain_return(wrong=1, failed=False)
    assert "batch" in said
    assert "warm up" not in said


def test_one_that_does_not_start_again_is_named(tmp_path: Path) -> None:
    once = (
        "mark = Path(__file__).with_name('started')\n"
        "sys.exit('error: a lock file is left') if mark.exists() else mark.touch()"
    )
    result = judged(tmp_path, before=once)
    assert set(failed(result)) == {"back"}
    assert result.cause is not None
    assert "a lock file is left" in result.cause


def test_nothing_answered_is_nothing_available(tmp_path: Path) -> None:
    submission = opened(write_fake(tmp_path / "service"), tmp_path / "grade")
    with RunningService(submission) as service:
        result = availability.judge(grade_of(submission), submission, service, [])
    assert result.status == "failed"
