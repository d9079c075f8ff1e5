"""Figures of a run, and when they are the generator's and not the server's."""

import numpy as np

from challenges.load.observations import LOST, Observations


def observed(cpu_share: float = 0.1, late_s: float = 0.0, lost: int = 0) -> Observations:
    """100 requests in a second, answered after 20 ms; the last ones are lost."""
    due = np.arange(100) / 100
    status = np.full(100, 200)
    status[100 - lost :] = LOST
    nothing, bodies = np.full(100, np.nan), [b"{}"] * 100
    return Observations(due, due + late_s, due + 0.02, status, bodies, nothing, cpu_share)


def test_a_generator_that_is_the_bottleneck_says_so() -> None:
    assert observed().bottleneck() is None
    assert observed(cpu_share=0.9).bottleneck() == "the generator used 90% of a core"
    late = observed(late_s=0.02).bottleneck()
    assert late == "the generator sent 1 % of the requests over 20.0 ms late"


def test_lost_requests_are_infinitely_late() -> None:
    assert abs(observed().percentile(99) - 20) < 1e-6
    assert observed(lost=2).percentile(99) == np.inf
    assert observed(lost=100).throughput == 0
    assert observed(lost=40).wrong(lambda number, _body: number >= 10) == 10
