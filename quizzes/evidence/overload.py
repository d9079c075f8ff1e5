"""Send 50 photos a second to a service that cannot keep up, and to the same one that can."""

import numpy as np

from challenges.load.arrivals import due_times
from challenges.load.generator import Target, generate
from challenges.load.images import distinct_images
from challenges.load.observations import Observations
from learner.language import _
from learner.numbers import format_number
from quizzes.evidence import Evidence
from quizzes.evidence.running import NAIVE, Service

RATE, SECONDS, TARGET_MS = 50, 2.0, 50
FEW = 3
PATIENCE_S = 20.0
"""After this time a user gives up."""


def check(slow: Observations, fast: Observations) -> None:
    """Raise AssertionError unless later users of the slow service wait longer and longer."""
    early, late = np.median(slow.latency_ms[:FEW]), np.median(slow.latency_ms[-FEW:])
    assert late > 1.2 * early, "in an overloaded service the waits grow"
    assert np.median(fast.latency_ms[-FEW:]) < late, "in the other one they do not grow as much"
    assert fast.percentile(99) < slow.percentile(99), "its slowest users wait less"


def run() -> Evidence:
    """Send the same load to both services, one after the other."""
    photos = distinct_images(10)
    due = due_times("poisson", RATE, SECONDS)
    seen = []
    for moment in ("request", "startup"):
        with Service(NAIVE, "--load", moment) as service:
            generate(Target(service.port), due[:1], photos, timeout=60)  # first-time work
            seen.append(generate(Target(service.port), due, photos, PATIENCE_S))
    slow, fast = seen
    check(slow, fast)
    first, last = np.median(slow.latency_ms[:FEW]), np.median(slow.latency_ms[-FEW:])
    return Evidence(
        shows=_(
            "At {rate} photos a second the service that loads its weights in every request made "
            "the first {few} users wait {first:.0f} ms and the last {few} {last:.0f} ms. The p99 "
            "of all {all} users is {slow}; loaded once, it is {fast}. {all} users are few for a "
            "p99: it is the time of the two slowest."
        ).format(
            rate=RATE,
            first=first,
            last=last,
            few=FEW,
            all=len(due),
            slow=format_number(slow.percentile(99), "ms"),
            fast=format_number(fast.percentile(99), "ms"),
        ),
        values={
            _("weights in every request: first users"): float(first),
            _("weights in every request: last users"): float(last),
            _("weights loaded once: last users"): float(np.median(fast.latency_ms[-FEW:])),
        },
        unit="ms",
        target=TARGET_MS,
        varies=_(
            "the time that a photo needs, because one service loads its weights in every request; "
            "load, model and event loop are the same."
        ),
    )
