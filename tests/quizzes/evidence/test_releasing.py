"""What is read from a gate's words and from a router's log."""

import subprocess

import numpy as np
import pytest

from challenges.load.observations import LOST, Observations
from challenges.releases.router import Routed, Router
from quizzes.evidence import releasing


def test_the_share_is_read_from_the_gates_line() -> None:
    said = "error: x 1.1.1 is refused: 68% of 100 photos have the same first class, at least 95%."
    done = subprocess.CompletedProcess([], 1, stdout="", stderr=said)
    assert releasing.shared_percent(done) == 68
    with pytest.raises(AssertionError, match="no artifact"):
        releasing.shared_percent(subprocess.CompletedProcess([], 1, "", "no artifact"))


def test_lost_and_moved_requests_are_counted() -> None:
    due = np.arange(4) / 10
    none = np.full(4, np.nan)
    status = np.array([200, 503, LOST, 200])
    seen = Observations(due, due, due, status, [b""] * 4, none, 0.0)
    router = Router("", "")
    router.log += [Routed("1", "released", 200, 1.0), Routed("2", "candidate", 200, 1.0, True)]
    release = releasing.Release(seen, [(0.2, "on")], router)
    assert (release.lost, release.moved) == (2, 1)
