"""The check accepts what the lesson says, and nothing else."""

import numpy as np
import pytest

from quizzes.evidence.loading_times import check

EXPECTED = {
    "request": np.full(8, 400.0),
    "first": np.array([400.0, *[40.0] * 7]),
    "startup": np.full(8, 40.0),
}


def test_loading_once_at_start_up_is_what_no_user_waits_for() -> None:
    check(EXPECTED)


@pytest.mark.parametrize(
    ("moment", "times"),
    [
        ("request", np.full(8, 50.0)),
        ("first", np.full(8, 40.0)),
        ("startup", np.array([400.0, *[40.0] * 7])),
    ],
)
def test_another_outcome_is_refused(moment: str, times: np.ndarray) -> None:
    with pytest.raises(AssertionError):
        check({**EXPECTED, moment: times})
