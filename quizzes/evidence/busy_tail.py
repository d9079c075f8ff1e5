"""The busier a service, the longer the wait; and not in proportion."""

import numpy as np

from challenges.load.arrivals import due_times
from learner.language import _
from quizzes.evidence.base import Evidence
from quizzes.evidence.waiting import waits

SERVICE_S, SECONDS = 0.01, 600


def run() -> Evidence:
    """Simulate Poisson arrivals at a service time of 10 ms, at three loads."""
    average_ms = {
        busy: float(np.mean(waits(due_times("poisson", busy, SECONDS), SERVICE_S))) * 1000
        for busy in (50, 75, 90)
    }
    assert 6 < average_ms[90] / average_ms[50] < 13, average_ms
    return Evidence(
        shows=_(
            "Simulated over {minutes:.0f} minutes of random arrivals: the average wait is "
            "{half:.1f} ms at 50 % busy and {most:.1f} ms at 90 %."
        ).format(minutes=SECONDS / 60, half=average_ms[50], most=average_ms[90]),
        values={_("{share} % busy").format(share=busy): wait for busy, wait in average_ms.items()},
        unit="ms",
    )
