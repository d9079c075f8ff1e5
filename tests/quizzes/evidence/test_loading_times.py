"""The check accepts what the lesson says, and nothing else."""

import numpy as np
import pytest

from challenges.load.observations import LOST, Observations
from quizzes.evidence.loading_times import check, count_late


def waits(*latency_ms: float, lost: int = 0) -> Observations:
    due = np.arange(len(latency_ms)) / 50
    status = np.full(len(due), 200)
    status[:lost] = LOST
    return Observations(
        due=due, sent=due, done=due + np.array(latency_ms) / 1000, status=status,
        bodies=[b""] * len(due), retry_after=np.full(len(due), np.nan), cpu_share=0.1,
    )  # fmt: skip


EXPECTED = {
    "request": waits(*np.linspace(80, 3000, 50)),
    "first": waits(80, 70, 60, 50, *[10.0] * 46),
    "startup": waits(*[10.0] * 50),
}


def test_loading_once_at_start_up_is_what_no_user_waits_for() -> None:
    check(EXPECTED)


@pytest.mark.parametrize(
    ("moment", "seen"),
    [
        ("request", waits(*[80.0] * 50)),
        ("first", waits(*[10.0] * 50)),
        ("first", waits(80, *[10.0] * 49)),  # the old claim: only the first user waits
        ("startup", waits(80, 70, 60, *[10.0] * 47)),
    ],
)
def test_a_different_outcome_is_refused(moment: str, seen: Observations) -> None:
    with pytest.raises(AssertionError):
        check({**EXPECTED, moment: seen})


def test_lost_users_count_as_late() -> None:
    assert count_late(waits(60, 10, 10)) == 1
    assert count_late(waits(60, 10, 10, lost=2)) == 2
