"""How long requests wait for one server that does one request at a time, simulated."""

import numpy as np
import numpy.typing as npt

from challenges.load.arrivals import due_times
from learner.language import _
from quizzes.evidence import Evidence

Seconds = npt.NDArray[np.float64]


def waits(due: Seconds, service_s: float) -> Seconds:
    """Return how long each request waits before its work begins (Lindley's recursion).

    Args:
        due: arrival times, ascending.
        service_s: seconds of work per request.
    """
    waiting = np.zeros(len(due))
    for number, gap in enumerate(np.diff(due), 1):
        waiting[number] = max(0.0, waiting[number - 1] + service_s - gap)
    return waiting


def busy_tail() -> Evidence:
    """Show that waits grow faster than the load: Poisson arrivals at three loads."""
    seconds, service_s = 600, 0.01
    average_ms = {
        busy: float(np.mean(waits(due_times("poisson", busy, seconds), service_s))) * 1000
        for busy in (50, 75, 90)
    }
    assert 6 < average_ms[90] / average_ms[50] < 13, average_ms
    return Evidence(
        shows=_(
            "Simulated over {minutes:.0f} minutes of random arrivals: the average wait is "
            "{half:.1f} ms at 50 % busy and {most:.1f} ms at 90 %."
        ).format(minutes=seconds / 60, half=average_ms[50], most=average_ms[90]),
        values={_("{share} % busy").format(share=busy): wait for busy, wait in average_ms.items()},
        unit="ms",
        varies=_("the rate of arrivals; every request needs exactly 10 ms."),
    )


def growing_line() -> Evidence:
    """Show that under overload the line grows as long as the load lasts."""
    rate, seconds, service_s = 50, 10, 0.1
    latency = waits(due_times("constant", rate, seconds), service_s) + service_s
    assert abs(latency[-1] - 40) < 1, f"{latency[-1]:.1f} s"
    return Evidence(
        shows=_(
            "Simulated: of {count} requests, the first is answered after {first:.1f} s, the last "
            "{last:.0f} s after it came."
        ).format(count=len(latency), first=latency[0], last=latency[-1]),
        values={
            _("request {number}").format(number=number): float(latency[number - 1])
            for number in (1, 100, 250, 500)
        },
        unit="s",
        varies=_("the place in the line; every request needs exactly 100 ms."),
    )
