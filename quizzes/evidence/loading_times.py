"""When should weights be loaded? The same service, three moments, its users' waiting times."""

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial

import httpx2 as httpx
import numpy as np
import numpy.typing as npt

from learner.language import _
from learner.stopwatch import time_ms
from quizzes.evidence import Evidence
from quizzes.evidence.naive_service import MOMENTS
from quizzes.evidence.running import NAIVE, Service
from service.artifact.sample_photos import SAMPLE_PHOTOS

TARGET_MS = 50
USERS = 8


def first_users(urls: Mapping[str, str], users: int = USERS) -> dict[str, npt.NDArray[np.float64]]:
    """Measure how long the first users of some services wait.

    There is one request at a time, and the services take turns, so that other load on the machine
    affects all of them.

    Args:
        urls: name → URL of a service that is ready and has made no prediction yet.
        users: their number for each service; all send the same photo.

    Returns:
        Name → float64, `users`: milliseconds from sending a photo to the whole answer.
    """
    photo = SAMPLE_PHOTOS[-1].read()
    waited = {name: np.zeros(users) for name in urls}
    with ExitStack() as opened:
        clients = {
            name: opened.enter_context(httpx.Client(base_url=url, timeout=60))
            for name, url in urls.items()
        }
        for client in clients.values():
            client.get("/livez").raise_for_status()  # connecting does not count
        for user in range(users):
            for name, client in clients.items():
                waited[name][user] = time_ms(partial(_predict, client, photo))
    return waited


def check(waited: dict[str, npt.NDArray[np.float64]]) -> None:
    """Raise AssertionError unless only loading at start-up spares every user the wait."""
    later = {moment: float(np.median(times[1:])) for moment, times in waited.items()}
    assert later["request"] > 1.5 * later["startup"], "everybody pays for loading per request"
    assert later["request"] > 1.2 * later["first"], "loaded once, later users do not pay"
    assert waited["first"][0] > 5 * later["first"], "the first user pays for loading on demand"
    assert waited["first"][0] > 1.5 * waited["startup"][0], "start-up loading spares the first user"


def run() -> Evidence:
    """Start the three services and compare the waiting times of their users."""
    services = {moment: Service(NAIVE, "--load", moment) for moment in MOMENTS}
    try:
        waited = first_users({moment: service.url for moment, service in services.items()})
    finally:
        for service in services.values():
            service.kill()
    check(waited)
    request, first, startup = (float(np.median(waited[moment][1:])) for moment in MOMENTS)
    return Evidence(
        shows=_(
            "Loaded in every request, every user waits about {request:.0f} ms. Loaded by the first "
            "request, that user waits {first:.0f} ms. Loaded at start-up, users wait about "
            "{startup:.0f} ms."
        ).format(request=request, first=waited["first"][0], startup=startup),
        values={
            _("in every request: a later user"): request,
            _("by the first request: the first user"): float(waited["first"][0]),
            _("by the first request: a later user"): first,
            _("at start-up: the first user"): float(waited["startup"][0]),
            _("at start-up: a later user"): startup,
        },
        unit="ms",
        target=TARGET_MS,
    )


def _predict(client: httpx.Client, photo: bytes) -> None:
    client.post("/predict", content=photo).raise_for_status()
