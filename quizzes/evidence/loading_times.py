"""When should weights be loaded? The same service, three moments, its users' waiting times."""

import re
from collections.abc import Mapping

import numpy as np

from challenges.load.arrivals import due_times
from challenges.load.generator import Target, generate
from challenges.load.images import distinct_images
from challenges.load.observations import Observations
from learner.cpu_meter import MOST_OTHERS, CpuMeter
from learner.errors import LearnerError
from learner.language import _
from quizzes.evidence import Evidence
from quizzes.evidence.naive_service import MOMENTS
from quizzes.evidence.running import NAIVE, Service

TARGET_MS = 50
RATE, SECONDS = 50, 1.0
PATIENCE_S = 30.0
_TOOK = re.compile(r"(Imported|Loaded) .* in (\d+) ms")


def first_users(services: Mapping[str, Service], rate: float = RATE) -> dict[str, Observations]:
    """Send each service its first users, in an open loop: they do not wait for each other.

    Args:
        services: name → a service that is ready and has made no prediction yet.
        rate: users per second, at even intervals, for `SECONDS`.

    Returns:
        Name → the observations of one service, which was loaded alone.
    """
    photos = distinct_images(10)
    due = due_times("constant", rate, SECONDS)
    return {
        name: generate(Target(service.port), due, photos, PATIENCE_S)
        for name, service in services.items()
    }


def count_late(seen: Observations) -> int:
    """Return the number of users who waited longer than the target, or got no answer."""
    return int((~(seen.ok & (seen.latency_ms <= TARGET_MS))).sum())


def startup_parts(service: Service) -> tuple[float, float]:
    """Return the ms of importing the libraries and of loading the weights, from a service's log."""
    took = {
        found[1]: float(found[2]) for line in service.lines if (found := _TOOK.search(line.text))
    }
    return took["Imported"], took["Loaded"]


def check(seen: Mapping[str, Observations]) -> None:
    """Raise AssertionError unless those wait who come while the weights are loaded."""
    first = {moment: float(one.latency_ms[0]) for moment, one in seen.items()}
    late = {moment: float(np.median(one.latency_ms[-5:])) for moment, one in seen.items()}
    assert late["request"] > 2 * first["request"], "loaded in every request, the waits grow"
    # Of five, because one user alone may meet a slow moment of the machine.
    usual = float(np.median(seen["startup"].latency_ms[:5]))
    assert first["first"] > 2 * usual, "the first user waits for the loading"
    assert seen["first"].latency_ms[1] > 1.5 * usual, "users who come meanwhile wait as well"
    assert late["first"] < late["request"] / 2, "later users find the weights loaded"


def run() -> Evidence:
    """Start the three services and compare the waiting times of their users."""
    services = {moment: Service(NAIVE, "--load", moment) for moment in MOMENTS}
    try:
        ports = [service.port for service in services.values()]  # wait until all are ready
        meter = CpuMeter([pid for service in services.values() for pid in service.pids()])
        seen = first_users(services)
        others = meter.others()
        imports_ms, load_ms = startup_parts(services["startup"])
    finally:
        for service in services.values():
            service.kill()
    assert len(set(ports)) == len(MOMENTS)
    try:
        check(seen)
    except AssertionError:
        if others <= MOST_OTHERS:
            raise
        raise LearnerError(
            _(
                "Other programs took {share:.0%} of the processor meanwhile, so these times say "
                "nothing. Close some programs and try again."
            ).format(share=others)
        ) from None
    return Evidence(
        shows=_(
            "{users} users came at {rate} a second. Weights loaded by the first request: the first "
            "user waited {first:.0f} ms, and {late} of {users} users waited longer than {target} "
            "ms. In every request: {every} of {users}. At start-up: {none} of {users}. Loading "
            "took {load:.0f} ms; importing the libraries took {imports:.0f} ms, before the "
            "service was ready."
        ).format(
            users=len(seen["first"].due),
            rate=RATE,
            first=seen["first"].latency_ms[0],
            late=count_late(seen["first"]),
            every=count_late(seen["request"]),
            none=count_late(seen["startup"]),
            target=TARGET_MS,
            load=load_ms,
            imports=imports_ms,
        ),
        values={
            _("in every request: the first user"): float(seen["request"].latency_ms[0]),
            _("in every request: the last user"): float(seen["request"].latency_ms[-1]),
            _("by the first request: the first user"): float(seen["first"].latency_ms[0]),
            _("by the first request: the last user"): float(seen["first"].latency_ms[-1]),
            _("at start-up: the first user"): float(seen["startup"].latency_ms[0]),
            _("at start-up: the last user"): float(seen["startup"].latency_ms[-1]),
        },
        unit="ms",
        target=TARGET_MS,
        varies=_(
            "the moment at which the weights are loaded; file, runtime, threads and users are the "
            "same, and all libraries are imported when the process starts."
        ),
    )
