"""/livez while predictions run: in the event loop it waits for them, beside it, it does not."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx2 as httpx
import numpy as np
import numpy.typing as npt

from learner.language import _
from learner.stopwatch import time_ms
from quizzes.evidence import Evidence
from quizzes.evidence.running import NAIVE, REFERENCE, Service
from service.artifact.sample_photos import SAMPLE_PHOTOS

PHOTOS = 10
ROUNDS = 3
HEAD_START_S = 0.02
"""After this time the photos have arrived."""


def livez_while_predicting(
    url: str, photos: int = PHOTOS, rounds: int = ROUNDS
) -> npt.NDArray[np.float64]:
    """Time GET /livez while a service works on photos that came at the same time.

    Args:
        url: a service that is ready and warm.
        photos: their number, each on its own connection.
        rounds: the number of measurements.

    Returns:
        float64, `rounds`: milliseconds of each request.
    """
    photo = SAMPLE_PHOTOS[-1].read()
    waited = np.zeros(rounds)
    limits = httpx.Limits(max_connections=photos + 1, max_keepalive_connections=photos + 1)
    with (
        httpx.Client(base_url=url, timeout=60, limits=limits) as client,
        ThreadPoolExecutor(photos) as users,
    ):
        for number in range(rounds):
            answers = [users.submit(client.post, "/predict", content=photo) for _ in range(photos)]
            time.sleep(HEAD_START_S)
            waited[number] = time_ms(lambda: client.get("/livez").raise_for_status())
            for answer in answers:
                answer.result()
    return waited


def check(blocked: npt.NDArray[np.float64], free: npt.NDArray[np.float64]) -> None:
    """Raise AssertionError unless /livez waits for handlers that compute in the event loop."""
    assert np.median(blocked) > 2 * np.median(free), "a handler that computes blocks /livez"


def run() -> Evidence:
    """Time /livez of both services while they work on photos."""
    with Service(NAIVE, "--load", "startup") as naive, Service(REFERENCE) as reference:
        for service in (naive, reference):  # first-time work does not count
            livez_while_predicting(service.url, photos=1, rounds=1)
        blocked = livez_while_predicting(naive.url)
        free = livez_while_predicting(reference.url)
    check(blocked, free)
    return Evidence(
        shows=_(
            "{photos} photos came at once. Computed inside an `async def` handler, they made "
            "/livez wait {blocked:.0f} ms. Computed in other threads, {free:.0f} ms."
        ).format(photos=PHOTOS, blocked=np.median(blocked), free=np.median(free)),
        values={
            _("computed in the event loop"): float(np.median(blocked)),
            _("computed in worker threads"): float(np.median(free)),
        },
        unit="ms",
        varies=_(
            "where the forward pass runs, in the event loop or in worker threads; file, runtime "
            "and photos are the same."
        ),
    )
