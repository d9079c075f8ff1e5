"""Send 50 photos a second to a service that cannot keep up, and to one that can."""

import numpy as np

from challenges.load.arrivals import due_times
from challenges.load.generator import Target, generate
from challenges.load.images import distinct_images
from challenges.load.observations import Observations
from learner.language import _
from quizzes.evidence import Evidence
from quizzes.evidence.running import NAIVE, REFERENCE, Service

RATE, SECONDS, TARGET_MS = 50, 2.0, 50
FEW = 3
PATIENCE_S = 3.0
"""After this time a user gives up."""


def check(slow: Observations, fast: Observations) -> None:
    """Raise AssertionError unless later users of the slow service wait longer and longer."""
    early, late = np.median(slow.latency_ms[:FEW]), np.median(slow.latency_ms[-FEW:])
    assert late > 1.2 * early, "in an overloaded service the waits grow"
    assert set(fast.status.tolist()) <= {200, 503}, "the other one answers or refuses"
    assert np.percentile(fast.latency_ms[fast.ok], 99) < np.percentile(slow.latency_ms, 99)


def run() -> Evidence:
    """Send the same load to both services, one after the other."""
    photos = distinct_images(10)
    due = due_times("poisson", RATE, SECONDS)
    with Service(NAIVE, "--load", "request") as naive:
        generate(Target(naive.port), due[:1], photos, timeout=60)  # imports torch
        slow = generate(Target(naive.port), due, photos, PATIENCE_S)
    with Service(REFERENCE) as reference:
        fast = generate(Target(reference.port), due, photos, PATIENCE_S)
    check(slow, fast)
    first, last = np.median(slow.latency_ms[:FEW]), np.median(slow.latency_ms[-FEW:])
    return Evidence(
        shows=_(
            "At {rate} photos a second the service that loads its weights in every request made "
            "the first {few} users wait {first:.0f} ms and the last {few} {last:.0f} ms; "
            "{lost} of {all} gave up after {patience:g} s."
        ).format(
            rate=RATE,
            first=first,
            last=last,
            few=FEW,
            lost=int((~slow.ok).sum()),
            all=len(due),
            patience=PATIENCE_S,
        ),
        values={
            _("weights in every request: first users"): float(first),
            _("weights in every request: last users"): float(last),
            _("reference service: all users"): float(np.median(fast.latency_ms[fast.ok])),
        },
        unit="ms",
        target=TARGET_MS,
    )
