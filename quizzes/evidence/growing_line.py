"""More work than a service can do: the line grows for as long as the load lasts."""

from challenges.load.arrivals import due_times
from learner.language import _
from quizzes.evidence.base import Evidence
from quizzes.evidence.waiting import waits

RATE, SECONDS, SERVICE_S = 50, 10, 0.1


def run() -> Evidence:
    """Simulate it, request by request."""
    latency = waits(due_times("constant", RATE, SECONDS), SERVICE_S) + SERVICE_S
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
    )
