"""Without network a service runs alone, also where namespaces are not permitted."""

from pathlib import Path

import pytest

from challenges.minimal_service.grading.criteria import artifact, offline
from challenges.minimal_service.grading.verdict import CriterionResult
from tests.challenges.minimal_service.grading.submissions import (
    failed,
    grade_of,
    opened,
    write_fake,
)

CONNECTS = """
import socket
# Nothing is sent to it; where there is no route, it fails.
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("192.0.2.1", 9))
"""


def judged(tmp_path: Path, quick: bool = True, **code: str) -> CriterionResult:
    submission = opened(write_fake(tmp_path / "mine", **code), tmp_path / "grade")
    return artifact.judge(grade_of(submission, quick), submission)


@pytest.mark.skipif(not offline.find_namespace(), reason="namespaces are not permitted here")
def test_a_service_that_needs_the_network(tmp_path: Path) -> None:
    found = failed(judged(tmp_path, before=CONNECTS))
    assert set(found) == {"moved-starts"}
    assert "unreachable" in found["moved-starts"]


def test_without_namespaces_connections_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "find_namespace", lambda: ())
    right = judged(tmp_path / "a")
    assert failed(right) == {}
    (unchecked,) = (check for check in right.checks if check.passed is None)
    assert unchecked.id == "offline-for-sure"
    found = failed(judged(tmp_path / "b", before=CONNECTS))
    assert "unreachable" in found["moved-starts"]
