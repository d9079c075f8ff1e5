"""The simulation of waiting lines against numbers that are known by hand."""

import numpy as np
import pytest

from challenges.load.arrivals import due_times
from quizzes.evidence.waiting import waits


def test_waits_of_a_few_requests() -> None:
    assert waits(np.array([0.0, 1.0, 1.5, 9.0]), 1.0).tolist() == [0.0, 0.0, 0.5, 0.0]


def test_the_mean_wait_is_that_of_the_formula() -> None:
    """Pollaczek and Khinchine: with constant service times, load / (2 (1 - load)) service times."""
    mean = float(np.mean(waits(due_times("poisson", 50, 2000), 0.01)))
    assert mean == pytest.approx(0.5 / (2 * 0.5) * 0.01, rel=0.1)
