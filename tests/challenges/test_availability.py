"""Killed and drained, small services show what they do with what they have accepted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from challenges.minimal_service.grading import availability, memory
from challenges.minimal_service.grading.asking import ask
from challenges.minimal_service.grading.base import Grade
from challenges.minimal_service.grading.memory import MemoryWatch, mapped_packages, pss_mib
from challenges.minimal_service.grading.sandbox import RunningService
from challenges.minimal_service.grading.submission import Submission
from challenges.minimal_service.grading.verdict import CriterionResult
from tests.challenges.submissions import opened, write_fake

SLOW = "time.sleep(0.3)"
"""In each answer, so that some are on their way when SIGTERM comes."""
AT_ONCE = "signal.signal(signal.SIGTERM, lambda *_: os._exit(0))"
WAITS = "Handler.protocol_version = 'HTTP/1.1'; server.daemon_threads = False"


def judged(tmp_path: Path, **code: str) -> tuple[CriterionResult, Submission]:
    submission = opened(write_fake(tmp_path / "service", **code), tmp_path)
    grade = Grade(tmp_path, tmp_path, True, lambda _: None, 1)
    with RunningService(submission) as service:
        service.wait_until_ready(30)
        photos = [bytes([number]) * 100 for number in range(3)]
        known = [(photo, ask(service.port, "/predict", 10, photo).body) for photo in photos]
        result = availability.judge(grade, submission, service, known)
        assert not service.running
    return result, submission


def failed(result: CriterionResult) -> list[str]:
    return [check.id for check in result.checks if check.passed is False]
