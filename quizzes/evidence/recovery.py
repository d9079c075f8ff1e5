"""Kill a service, and stop another one, while photos keep coming."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import httpx2 as httpx
import numpy as np

from challenges.load.arrivals import due_times
from challenges.load.generator import Target, generate
from challenges.load.images import distinct_images
from challenges.load.observations import LOST, Observations
from learner.errors import LearnerError
from learner.language import _
from quizzes.evidence import Evidence
from quizzes.evidence.running import REFERENCE, Service

RATE = 20
"""Requests per second: a small part of the service's capacity."""
ACCIDENT_S = 0.5
PART_S = 0.5
MOST_SECONDS = 60
DRAIN_SECONDS = 2


def supervise(running: list[Service], over: threading.Event) -> None:
    """Start the service again, on its port, whenever it has ended; until `over` is set."""
    port = running[-1].port
    while not over.is_set():
        ended = running[-1].wait(0.05) is not None
        if ended and not over.is_set():
            drain = "--drain-seconds", str(DRAIN_SECONDS)
            running.append(Service(REFERENCE, *drain, port=port))


def end_all(running: Sequence[Service]) -> None:
    """Kill those that still run."""
    for service in running:
        service.kill()


def first_class(body: bytes) -> int:
    """Return the class id of the first prediction in an answer."""
    return int(json.loads(body)["predictions"][0]["class_id"])


def answers_at_rest(url: str, photos: Sequence[bytes]) -> list[int]:
    """Return the first class of each photo; send one after another."""
    with httpx.Client(base_url=url) as client:
        return [first_class(client.post("/predict", content=photo).content) for photo in photos]


@dataclass(frozen=True, slots=True)
class Outage:
    """Photos sent before, during and after a failure."""

    seen: Observations
    at: float
    """Seconds from the first photo to the failure."""

    @property
    def lost(self) -> int:
        """Requests without an answer."""
        return int((self.seen.status == LOST).sum())

    @property
    def seconds(self) -> float:
        """Seconds from the failure until every photo was answered again."""
        (lost,) = np.nonzero(self.seen.status == LOST)
        return float(self.seen.due[lost[-1] + 1] - self.at) if len(lost) else 0.0


def send_through(port: int, photos: Sequence[bytes], accident: Callable[[], object]) -> Outage:
    """Send photos, cause a failure, and stop after half a second without a lost photo.

    Args:
        port: the service's port.
        photos: sent in turns, `RATE` per second; half of `RATE` must be a multiple of their number.
        accident: causes the failure, half a second after the first photo.

    Raises:
        LearnerError: the service is not back within a minute.
    """
    parts: list[Observations] = []
    starts: list[float] = []
    started = time.perf_counter()
    moments: list[float] = []

    def happen() -> None:
        moments.append(time.perf_counter() - started)
        accident()

    threading.Timer(ACCIDENT_S, happen).start()
    while not moments or starts[-1] < moments[0] or (parts[-1].status == LOST).any():
        starts.append(time.perf_counter() - started)
        if starts[-1] > MOST_SECONDS:
            raise LearnerError(
                _("The service was not back within {seconds} s.").format(seconds=MOST_SECONDS)
            )
        parts.append(generate(Target(port), due_times("constant", RATE, PART_S), photos))
    return Outage(_join(parts, starts), moments[0])


def _join(parts: Sequence[Observations], starts: Sequence[float]) -> Observations:
    timed = list(zip(parts, starts, strict=True))
    return Observations(
        due=np.concatenate([part.due + start for part, start in timed]),
        sent=np.concatenate([part.sent + start for part, start in timed]),
        done=np.concatenate([part.done + start for part, start in timed]),
        status=np.concatenate([part.status for part in parts]),
        bodies=[body for part in parts for body in part.bodies],
        retry_after=np.concatenate([part.retry_after for part in parts]),
        cpu_share=max(part.cpu_share for part in parts),
    )


@dataclass(frozen=True, slots=True)
class Farewell:
    """The behaviour of a service after SIGTERM."""

    seen: Observations
    readyz: int
    """HTTP status of /readyz after SIGTERM."""
    livez: int
    """HTTP status of /livez after SIGTERM."""
    exit_status: int | None
    """Exit status of the process; None if it did not end."""

    @property
    def lost(self) -> int:
        """Requests without an answer."""
        return int((self.seen.status == LOST).sum())


def send_and_stop(service: Service, photos: Sequence[bytes]) -> Farewell:
    """Send photos for 1.5 s, and SIGTERM after the first 0.5 s: the rest arrives during the drain.

    Like a load balancer, ask /readyz, and send no photos after the drain.
    """
    url = service.url
    seen: list[Observations] = []
    load = Target(service.port), due_times("constant", RATE, 1.5), photos
    sending = threading.Thread(target=lambda: seen.append(generate(*load)))
    sending.start()
    time.sleep(ACCIDENT_S)
    service.ask_to_stop()
    service.wait_for(" drain ")
    readyz, livez = (
        httpx.get(f"{url}{question}").status_code for question in ("/readyz", "/livez")
    )
    sending.join()
    return Farewell(seen[0], readyz, livez, service.wait(30))


def run() -> Evidence:
    """Kill a supervised service under load, then stop it under load; count the lost requests."""
    photos = distinct_images(RATE // 2)
    running, over = [Service(REFERENCE)], threading.Event()
    with ExitStack() as at_the_end:
        at_the_end.callback(end_all, running)
        expected = answers_at_rest(running[0].url, photos)
        supervisor = threading.Thread(target=supervise, args=(running, over), daemon=True)
        supervisor.start()
        at_the_end.callback(supervisor.join)
        at_the_end.callback(over.set)
        outage = send_through(running[0].port, photos, running[0].kill)
        over.set()
        supervisor.join()
        farewell = send_and_stop(running[-1], photos)
    for seen in (outage.seen, farewell.seen):
        wrong = seen.wrong(lambda number, body: first_class(body) == expected[number % len(photos)])
        assert wrong == 0, "answers are right before, during and after"
    assert outage.lost > 0, "a killed service cannot finish"
    assert (farewell.lost, farewell.readyz, farewell.exit_status) == (0, 503, 0), "drained"
    return Evidence(
        shows=_(
            "Killed, the service lost {killed} requests and was back after {seconds:.1f} s. Told "
            "to stop, it answered /readyz with {readyz}, answered every request sent while it "
            "drained, and lost {drained}."
        ).format(
            killed=outage.lost,
            seconds=outage.seconds,
            readyz=farewell.readyz,
            drained=farewell.lost,
        ),
        values={_("SIGKILL: lost"): outage.lost, _("SIGTERM: lost"): farewell.lost},
        unit=_("requests"),
        varies=_("how the service is ended, by SIGKILL or SIGTERM; service and load are the same."),
    )
