"""Release a bundle: past a gate, then to a part of the traffic, to all of it, and back."""

import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from challenges.load.arrivals import due_times
from challenges.load.generator import Target, generate
from challenges.load.images import distinct_images
from challenges.load.observations import Observations
from challenges.releases.bundles import Change, make_bundle
from challenges.releases.router import DEADLINE_MS, Router, Verdict, release, running
from learner.language import _
from quizzes.evidence import Evidence
from quizzes.evidence.running import REFERENCE, Service
from service.settings import DEFAULT_ARTIFACT

GOOD, BAD = Change("1.1.0"), Change("1.1.1", skewed=True)
"""Two candidates: the form onnx-fp32, and the same with ImageNet's normalisation."""
PATIENT = ("--target-ms", "60000", "--max-requests", "2000")
"""Settings of the instances: a release is judged by its answers, so no instance refuses early."""
RATE, REQUESTS = 40, 500
GATE = "challenges.releases.gate"


def ask_gate(candidate: Path) -> subprocess.CompletedProcess[str]:
    """Run the gate as a CI does: its exit status says whether the bundle may be released."""
    command = [sys.executable, "-m", GATE, str(DEFAULT_ARTIFACT), str(candidate)]
    return subprocess.run(command, capture_output=True, text=True)


def shared_percent(done: subprocess.CompletedProcess[str]) -> float:
    """Return the percentage of photos with the same first class, as the gate has said it."""
    match = re.search(r"(\d+)% of", done.stdout + done.stderr)
    assert match is not None, done.stderr
    return float(match[1])


def refused_bundle() -> Evidence:
    """Send two candidates through the start's own checks, and through the gate."""
    with tempfile.TemporaryDirectory() as folder:
        good, bad = (make_bundle(Path(folder) / one.version, one) for one in (GOOD, BAD))
        with Service(REFERENCE, "--artifact", str(bad)) as service:
            starts = service.wait_for(" ready ").at
        passed, refused = ask_gate(good), ask_gate(bad)
    assert passed.returncode == 0, passed.stderr
    assert refused.returncode == 1, "other answers are refused"
    return Evidence(
        shows=_(
            "The bundle with the wrong normalisation was verified, replayed its own golden answers "
            "and was ready after {seconds:.1f} s. The gate let the other one pass with exit status "
            "{passed}, and ended with {refused} for this one: {said}"
        ).format(
            seconds=starts,
            passed=passed.returncode,
            refused=refused.returncode,
            said=refused.stderr.strip().removeprefix("error: "),
        ),
        varies=_("the normalisation in the graph; form, weights and photos are the same."),
    )


def start(artifact: Path) -> Service:
    """Start an instance that serves this bundle. Its `url` waits until it is ready."""
    return Service(REFERENCE, *PATIENT, "--artifact", str(artifact))


@contextmanager
def instances(*changes: Change) -> Iterator[list[Service]]:
    """Start the released bundle and one instance for each change, each in its own process."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [make_bundle(Path(folder) / one.version, one) for one in changes]
        started = [start(path) for path in (DEFAULT_ARTIFACT, *paths)]
        try:
            for service in started:
                service.wait_for(" ready ")
            yield started
        finally:
            for service in started:
                service.kill()


@dataclass(frozen=True, slots=True)
class Release:
    """A release under load, from the first request to the last one."""

    seen: Observations
    tried: list[tuple[float, Verdict]]
    """Each share of the traffic, with the verdict on it."""
    router: Router

    @property
    def lost(self) -> int:
        """Requests that were not answered 200."""
        return int((~self.seen.ok).sum())

    @property
    def moved(self) -> int:
        """Requests that the candidate answered."""
        return sum(one.version == "candidate" for one in self.router.log)


def release_under_load(
    released: Service, candidate: Service, photos: Sequence[bytes], requests: int, back_s: float
) -> Release:
    """Release a candidate while requests come, and go back to the released one near the end.

    Args:
        released: answers all requests at first.
        candidate: gets its shares.
        photos: sent in turns, `RATE` a second.
        requests: how many are sent.
        back_s: seconds before the last request from which the released one answers all again.
    """
    router, over = Router(released.url, candidate.url), threading.Event()
    found: list[tuple[float, Verdict]] = []
    due = due_times("constant", RATE, requests / RATE)
    with running(router) as port:
        releasing = threading.Thread(target=lambda: found.extend(release(router, over)))
        back = threading.Timer(due[-1] - back_s, lambda: setattr(router, "share", 0.0))
        for thread in (releasing, back):
            thread.start()
        seen = generate(Target(port), due, photos, timeout=DEADLINE_MS / 1000)
        over.set()
        for thread in (releasing, back):
            thread.join()
    return Release(seen, found, router)


def moved_traffic() -> Evidence:
    """Release a good candidate and a bad one, each under load."""
    photos = distinct_images(50)
    with instances(GOOD, BAD) as (released, good, bad):
        forth = release_under_load(released, good, photos, 280, back_s=1)
        stopped = release_under_load(released, bad, photos, 150, back_s=0)
    assert forth.lost == stopped.lost == 0, "no request is lost"
    assert [verdict for _share, verdict in forth.tried] == ["on"] * 3, "a good one goes on"
    assert stopped.tried[-1][1] == "back", "a bad one is sent back"
    return Evidence(
        shows=_(
            "The good candidate got {forth} of {all} requests, up to all of the traffic. The bad "
            "one was sent back after it had answered {stopped} of {few}. Requests lost: {lost}."
        ).format(
            forth=forth.moved,
            all=len(forth.router.log),
            stopped=stopped.moved,
            few=len(stopped.router.log),
            lost=forth.lost + stopped.lost,
        ),
        values={_("good: answered by it"): forth.moved, _("bad: answered by it"): stopped.moved},
        unit=_("requests"),
        varies=_("the normalisation of the candidate; router, rules and load are the same."),
    )
