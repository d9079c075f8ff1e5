"""Watch a service: its counters, one request in two logs, an error budget, signals of overload."""

import contextlib
import json
import os
import statistics
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import httpx2 as httpx
import numpy as np
import psutil
from prometheus_client.parser import text_string_to_metric_families

from challenges.load.arrivals import due_times
from challenges.load.generator import Target, generate
from challenges.load.images import distinct_images, encoded, rgb
from challenges.load.observations import Observations
from challenges.releases.router import Routed, Router, running
from learner.language import _
from quizzes.evidence import Evidence
from quizzes.evidence.releasing import PATIENT
from quizzes.evidence.running import REFERENCE, Service
from service.artifact.sample_photos import SAMPLE_PHOTOS

METRIC = "inference_requests_total"
GOOD_PHOTOS, NO_PHOTOS = 50, 5
OBJECTIVE = 0.99
"""Share of the requests, 0–1, that must be answered in time."""
IN_TIME_MS = 100
RATE, SECONDS = 40, 7.0
STALL_AFTER_S, STALL_S = 2.0, 0.5
MONTH_DAYS = 30


def counters(url: str) -> Counter[str]:
    """Read `/metrics`: the requests for predictions since the start, by what became of them."""
    counts: Counter[str] = Counter()
    for family in text_string_to_metric_families(httpx.get(f"{url}/metrics").text):
        for sample in family.samples:
            if sample.name == METRIC:
                counts[sample.labels["outcome"]] += int(sample.value)
    return counts


def send_good_and_bad(url: str, good: int = GOOD_PHOTOS, bad: int = NO_PHOTOS) -> list[int]:
    """Send photos, then files that are none; return the statuses."""
    bodies = [*distinct_images(good), *[b"no photo"] * bad]
    with httpx.Client(base_url=url) as client:
        return [client.post("/predict", content=body).status_code for body in bodies]


def counted_requests() -> Evidence:
    """Read the counters, send photos and files that are none, read the counters again."""
    with Service(REFERENCE) as service:
        before = counters(service.url)
        statuses = send_good_and_bad(service.url)
        after = counters(service.url)
    grown = after - before
    assert grown["answered"] == statuses.count(200) == GOOD_PHOTOS, "photos are answered"
    assert sum(grown.values()) == len(statuses), "each request is counted once"
    return Evidence(
        shows=_(
            "{all} requests were sent. The counters grew by {answered:.0f} for answered and by "
            "{others:.0f} for all else; together by {all}. They count from the start of the "
            "process, so only their growth means something."
        ).format(
            all=len(statuses),
            answered=grown["answered"],
            others=sum(grown.values()) - grown["answered"],
        ),
        values=dict(grown),
        unit=_("requests"),
        varies=_("what is sent, photos or files that are none; service and route are the same."),
    )


def phone_file() -> bytes:
    """Return a photo as a phone takes it: 4,000 × 3,000 pixels, as a PNG file."""
    return encoded(rgb(SAMPLE_PHOTOS[0]).resize((4000, 3000)), "PNG", compress_level=1)


@dataclass(frozen=True, slots=True)
class Trail:
    """The slowest of some requests, found by its id in two logs."""

    routed: list[Routed]
    """The router's log."""
    slowest: Routed
    lines: list[str]
    """Lines of the instance's log with the slowest request's id."""


def follow_slowest(service: Service, photos: Sequence[bytes]) -> Trail:
    """Send photos through a router; return what the logs say of the slowest one."""
    router = Router(service.url, service.url)
    with running(router) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for photo in photos:
            client.post("/predict", content=photo)
    slowest = max(router.log, key=lambda one: one.ms)
    service.wait_for(slowest.id, 10)
    lines = [line.text for line in service.lines if slowest.id in line.text]
    return Trail(router.log, slowest, lines)


def slowest_request() -> Evidence:
    """Hide one large photo among thirty, and find it by the id of the slowest request."""
    photos = distinct_images(30)
    photos[17] = phone_file()
    with Service(REFERENCE, *PATIENT) as service:
        trail = follow_slowest(service, photos)
    typical = statistics.median(one.ms for one in trail.routed)
    assert trail.slowest.id == trail.routed[17].id, "the large photo is the slowest one"
    assert trail.lines, "the id stands in the log of the instance"
    return Evidence(
        shows=_(
            "The request {id} took {slow:,.0f} ms, half of all requests less than "
            "{typical:,.0f} ms. Its id stands in the router's log and in {n} line of the "
            "instance's: it was the photo of 12 megapixels."
        ).format(id=trail.slowest.id, slow=trail.slowest.ms, typical=typical, n=len(trail.lines)),
        values={_("the slowest request"): trail.slowest.ms, _("the median"): typical},
        unit="ms",
        varies=_("the size of one photo; service and route are the same."),
    )


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of an objective's room for failures was used."""

    requests: int
    late: int
    """Requests that failed, or took longer than the objective allows."""
    allowed: float
    """Requests that may be late: (1 - objective) × requests."""

    @property
    def burn_rate(self) -> float:
        """How many times as fast as allowed the budget is used; 1 uses it up exactly in time."""
        return self.late / self.allowed


def budget_of(
    seen: Observations, in_time_ms: float = IN_TIME_MS, objective: float = OBJECTIVE
) -> Budget:
    """Count the late requests of a load run. A request that failed is late."""
    late = int((seen.waited_ms > in_time_ms).sum())
    return Budget(len(seen.due), late, (1 - objective) * len(seen.due))


def load_with_stall(service: Service, photos: Sequence[bytes], stall_s: float) -> Observations:
    """Send `RATE` photos a second; in between the service's processes stand still for a while.

    They are stopped by SIGSTOP, as by a machine that gives its time to somebody else.

    Args:
        service: reference service.
        photos: sent in turns.
        stall_s: seconds without any work; 0 for none.
    """
    over = threading.Event()

    def stall() -> None:
        processes = [psutil.Process(pid) for pid in service.pids()[1:]]
        for process in processes:
            process.suspend()
        over.wait(stall_s)
        for process in processes:
            process.resume()

    timer = threading.Timer(STALL_AFTER_S, stall)
    if stall_s:
        timer.start()
    seen = generate(Target(service.port), due_times("constant", RATE, SECONDS), photos)
    if stall_s:
        timer.join()
    return seen


def spent_budget() -> Evidence:
    """Send the same load twice; within the second one, the service stands still for 0.5 s."""
    photos = distinct_images(10)
    with Service(REFERENCE, *PATIENT) as service:
        calm, stalled = (
            budget_of(load_with_stall(service, photos, stall_s)) for stall_s in (0, STALL_S)
        )
    assert stalled.late >= 0.6 * STALL_S * RATE, "requests that come meanwhile are late"
    assert stalled.late > calm.late, "without the stall fewer are late"
    return Evidence(
        shows=_(
            "{objective:.0%} of the requests should be answered within {ms} ms, so of {n} requests "
            "{allowed:.0f} may be late. Without the stall {calm} were, with {stall} s of it "
            "{late}: {rate:.1f} times as many as allowed."
        ).format(
            objective=OBJECTIVE,
            ms=IN_TIME_MS,
            n=stalled.requests,
            allowed=stalled.allowed,
            calm=calm.late,
            stall=STALL_S,
            late=stalled.late,
            rate=stalled.burn_rate,
        ),
        values={_("without a stall"): calm.late, _("with a stall"): stalled.late},
        unit=_("requests"),
        target=stalled.allowed,
        varies=_("whether the service stands still for a moment; service and load are the same."),
    )


@dataclass(frozen=True, slots=True)
class Signals:
    """What a load looks like from outside, at one rate."""

    rate: float
    """Requests a second."""
    cpu: float
    """Share of the service's one core that it used, 0–1."""
    queue_ms: float
    """Median time that an answered request waited in the queue."""


@contextlib.contextmanager
def on_one_core() -> Iterator[None]:
    """Let processes that are started within the block run on the machine's first core only."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def find_capacity(service: Service, photos: Sequence[bytes]) -> float:
    """Return how many photos a second the service can compute on its core, at most."""
    with httpx.Client(base_url=service.url) as client:
        answers = [client.post("/predict", content=photo).json() for photo in photos]
    work = [one["timing_ms"]["preprocess"] + one["timing_ms"]["forward"] for one in answers]
    return float(1000 / statistics.median(work))


def signals_at(service: Service, rate: float, seconds: float, photos: Sequence[bytes]) -> Signals:
    """Load the service at a rate, and read what could tell that it needs help."""
    processes = [psutil.Process(pid) for pid in service.pids()[1:]]

    def used() -> float:
        times = [process.cpu_times() for process in processes]
        return float(sum(one.user + one.system for one in times))

    before = used()
    seen = generate(Target(service.port), due_times("poisson", rate, seconds), photos)
    wall = float(np.nanmax(seen.done))
    queues = [
        json.loads(body)["timing_ms"]["queue"]
        for ok, body in zip(seen.ok, seen.bodies, strict=True)
        if ok
    ]
    return Signals(
        rate=rate,
        cpu=(used() - before) / wall,
        queue_ms=statistics.median(queues),
    )


SHARES_OF_CAPACITY = (0.4, 0.9, 1.8)


def signals_at_loads(photos: Sequence[bytes], seconds: float = 1.5) -> list[Signals]:
    """Start a service on one core; load it below, near and above what it can compute.

    It does not refuse early, so that its queue can be seen.
    """
    with on_one_core():
        service = Service(REFERENCE, *PATIENT)
    with service:
        most = find_capacity(service, photos)
        return [signals_at(service, share * most, seconds, photos) for share in SHARES_OF_CAPACITY]


def scaling_signals() -> Evidence:
    """Compare what the processor and the queue tell at three loads."""
    low, near, over = signals_at_loads(distinct_images(20))
    assert over.queue_ms > 5 * low.queue_ms, "above the capacity requests wait"
    assert over.cpu < 1.3 * near.cpu + 0.3, "the processor cannot show more than 100 %"
    return Evidence(
        shows=_(
            "From {near:.0f} to {over:.0f} requests a second the processor went from {cpu:.0%} to "
            "{full:.0%} of its core. The median wait in the queue went from {short:.0f} to "
            "{long:.0f} ms."
        ).format(
            near=near.rate,
            over=over.rate,
            cpu=near.cpu,
            full=over.cpu,
            short=near.queue_ms,
            long=over.queue_ms,
        ),
        values={
            _("wait in the queue, {rate:.0f} a second").format(rate=one.rate): one.queue_ms
            for one in (low, near, over)
        },
        unit="ms",
        varies=_("the rate of the requests; service, core and photos are the same."),
    )
