"""Criterion 5: the load, an open loop. Requests leave when due, even if earlier ones still wait."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from challenges.load.arrivals import due_times
from challenges.load.generator import Target, generate
from challenges.load.images import PhotoMaker
from challenges.load.observations import MOST_CPU_SHARE, MOST_LATE_MS, Observations
from challenges.minimal_service.grading.context import Grade, Report, Say
from challenges.minimal_service.grading.submission.running import RunningService
from challenges.minimal_service.grading.verdict import LESSONS, CriterionResult
from learner.cpu_meter import MOST_OTHERS, CpuMeter
from learner.language import _

TARGET_MS = 50.0
"""p99 must stay below it."""
STEPS = (1.28, 1.6, 2.0, 2.5, 3.2, 4.0)
"""Multiples of the target rate that are tried beyond it."""
_WARM_UP_S = 2.0
_SERIES = 10
"""First number of the photos' series: each load sends other photos."""
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each load is, and how many of its answers are compared with the model's."""

    seconds: float = 60.0
    step_seconds: float = 6.0
    steps: Sequence[float] = STEPS
    sampled: int = 400
    """Compared answers of the load at the target rate."""
    sampled_step: int = 24
    """Compared answers of each step."""


FULL = Plan()
QUICK = Plan(seconds=10.0, steps=(), sampled=64)


@dataclass(frozen=True, slots=True)
class Sent:
    """One load: its photos and what was observed."""

    rate: float
    photos: Sequence[bytes]
    seen: Observations

    @property
    def p99_ms(self) -> float:
        """Latency from the moment due; infinite if 1 % or more failed."""
        return self.seen.percentile(99)

    @property
    def held(self) -> bool:
        """Whether every request was answered with 200, and p99 is under the target."""
        return bool(self.seen.ok.all()) and self.p99_ms < TARGET_MS

    def sample(self, count: int, seed: int) -> list[tuple[bytes, bytes]]:
        """Return some of the photos that were answered with 200, and the bodies of the answers."""
        answered = np.flatnonzero(self.seen.ok)
        random = np.random.default_rng(seed)
        chosen = random.choice(answered, min(count, len(answered)), replace=False)
        return [(self.photos[number], self.seen.bodies[number]) for number in sorted(chosen)]


@dataclass(slots=True)
class LoadRun:
    """The load at the target rate, and the steps beyond it."""

    main: Sent
    void: str | None
    """Why the main load, even repeated, does not describe the service; None if it does."""
    steps: list[Sent] = field(default_factory=list)


def send(port: int, photos: Sequence[bytes], rate: float, seed: int) -> Sent:
    """Send each photo once, at random moments, `rate` per second."""
    due = due_times("poisson", rate, len(photos) / rate, seed)
    return Sent(rate, photos, generate(Target(port), due, photos, _TIMEOUT_S))


def make_photos(maker: PhotoMaker, rate: float, seconds: float, series: int) -> list[bytes]:
    """Return a photo for each request."""
    return maker.photos(max(1, round(rate * seconds)), _SERIES + series)


def warm_up(port: int, maker: PhotoMaker, rate: float, seed: int) -> None:
    """Send a short load that is not judged."""
    send(port, make_photos(maker, rate, _WARM_UP_S, 0), rate, seed)


def send_target(
    service: RunningService, grade: Grade, plan: Plan, maker: PhotoMaker, rate: float
) -> LoadRun:
    """Send the load at the target rate; again, if the first is void."""
    photos = make_photos(maker, rate, plan.seconds, 1)
    run = _send_watched(service, photos, rate, grade.seed + 1)
    if run.void and service.running:
        grade.say(
            _("The load is sent again, since it said nothing of the service: {why}").format(
                why=run.void
            )
        )
        photos = make_photos(maker, rate, plan.seconds, 2)
        again = _send_watched(service, photos, rate, grade.seed + 2)
        run = again if again.void is None else run
    return run


def _send_watched(
    service: RunningService, photos: Sequence[bytes], rate: float, seed: int
) -> LoadRun:
    meter = CpuMeter(service.pids())
    main = send(service.port, photos, rate, seed)
    return LoadRun(main, _find_void(main, meter.others()))


def _find_void(main: Sent, others: float) -> str | None:
    """Return why a load does not describe the service; None if it does, or if it was held."""
    seen = main.seen
    if main.held:
        return None
    late = float(np.percentile(seen.lateness_ms, 99))
    if seen.cpu_share > MOST_CPU_SHARE or late > MOST_LATE_MS:
        return _(
            "1 % of the requests left more than {late:.0f} ms late, and sending them took "
            "{share:.0%} of a core."
        ).format(late=late, share=seen.cpu_share)
    if others > MOST_OTHERS:
        return _("other programs took {others:.0%} of the processor meanwhile.").format(
            others=others
        )
    return None


def send_steps(port: int, run: LoadRun, plan: Plan, maker: PhotoMaker, seed: int, say: Say) -> None:
    """Go beyond the target step by step, until one is not held although it is repeated."""
    if not run.main.held:
        return
    for number, step in enumerate(plan.steps):
        rate = run.main.rate * step
        for attempt in (0, 1):
            series = 10 + 2 * number + attempt
            photos = make_photos(maker, rate, plan.step_seconds, series)
            sent = send(port, photos, rate, seed + series)
            if sent.held:
                break
        run.steps.append(sent)
        if not sent.held:
            return
        say(_("{rate:.0f} requests a second: p99 {p99:.0f} ms").format(rate=rate, p99=sent.p99_ms))


def find_rate_held(run: LoadRun) -> float:
    """Return the rate up to which p99 stays under the target; 0 if the target rate is missed.

    Between the last step that was held and the first that was not, p99 is interpolated on
    logarithmic axes, so that a step that is just missed costs little.
    """
    if not run.main.held:
        return 0.0
    low = run.main
    for step in run.steps:
        if step.held:
            low = step
            continue
        high_ms = step.p99_ms
        if not math.isfinite(high_ms) or not step.seen.ok.all():
            return low.rate
        share = math.log(TARGET_MS / low.p99_ms) / math.log(high_ms / low.p99_ms)
        return float(low.rate * (step.rate / low.rate) ** share)
    return low.rate


def judge(grade: Grade, run: LoadRun, wrong: str | None) -> CriterionResult:
    """Judge the load at the target rate, and note what the plots show.

    Args:
        grade: whose series are filled.
        run: what was sent.
        wrong: why the sampled answers were not the model's, or None. Speed with wrong answers does
            not count.
    """
    report = Report("load", lesson=LESSONS["load"])
    seen = run.main.seen
    _note(grade, run)
    if run.void and wrong is None:
        text = _("The load could not be judged: {why} End other programs, and grade again.")
        report.check("void", None, text, why=run.void)
        report.measured |= {"rate_per_s": run.main.rate, **_latencies(run.main)}
        return report.result()
    failed = int((~seen.ok).sum())
    statuses = {int(one): int((seen.status == one).sum()) for one in np.unique(seen.status)}
    lost = _("no answer")
    said = ", ".join(f"{n} × {status or lost}" for status, n in statuses.items() if status != 200)
    text = _("{failed} of {n} requests failed at {rate:g} a second.")
    text = text.format(failed=failed, n=len(seen.status), rate=run.main.rate)
    cause = _(
        "Requests at the target rate were refused or lost ({statuses}). To shed them is no way to "
        "be fast: the service must answer more a second."
    )
    report.check("no-errors", failed == 0, f"{text} {said}".strip(), cause, statuses=said)
    p99 = run.main.p99_ms
    late = seen.latency_ms[seen.ok]
    if math.isfinite(p99):
        text = _(
            "p99 is {p99:.1f} ms from the moment due, the median {median:.1f} ms; p99 must stay "
            "below {target:g} ms."
        ).format(p99=p99, median=float(np.median(late)), target=TARGET_MS)
    else:
        text = _("1 % of the requests or more were not answered, so there is no p99.")
    report.check("p99", p99 < TARGET_MS, text, _cause(p99, late))
    text = (
        _("The answers during the load were the research model's.")
        if wrong is None
        else _("The answers during the load were wrong: {reason}")
    )
    cause = _("What was answered under load was not right, so its speed does not count.")
    report.check("right-under-load", wrong is None, text, cause, reason=wrong)
    # 1 % of failed requests leaves no points, as an infinite p99 does.
    answered = max(0.0, 1 - 100 * failed / len(seen.status))
    report.share = 0.0 if wrong else answered * min(1.0, TARGET_MS / p99)
    report.measured |= {"rate_per_s": run.main.rate, "answered_per_s": seen.throughput}
    report.measured |= _latencies(run.main)
    if run.steps:
        report.measured["held_per_s"] = find_rate_held(run)
    return report.result()


PERCENTILES = {"p50_ms": 50, "p90_ms": 90, "p99_ms": 99}
"""What is measured of the latency: its name in a verdict, and the percentile."""


def _latencies(main: Sent) -> dict[str, float]:
    """Return the percentiles that are finite: a failed request counts as infinitely late."""
    latencies = {name: main.seen.percentile(share) for name, share in PERCENTILES.items()}
    return {name: value for name, value in latencies.items() if math.isfinite(value)}


def _cause(p99: float, late: "np.typing.NDArray[np.float64]") -> str:
    """Return what such latencies hint at."""
    if not len(late):
        return _("The service answered nothing: look at what it wrote last.")
    if float(np.median(late)) > TARGET_MS:
        return _(
            "Half of the requests are too late: the service needs more time for a request than "
            "passes until the next one, so they queue. Share the work of those that wait (a "
            "batch), read fewer bytes of weights, and keep all cores busy."
        )
    return _(
        "Most requests are fast, the slowest are not: while one long piece of work runs, others "
        "wait. Look for what holds up the event loop or the forward pass, such as decoding, a "
        "pause, a batch that waits to fill, or threads that compete for the cores."
    )


def _note(grade: Grade, run: LoadRun) -> None:
    seen, steps = run.main.seen, [run.main, *run.steps] if run.steps else []
    latency = zip(seen.latency_ms, seen.ok, strict=True)
    p99 = [one.p99_ms for one in steps]
    series = {
        "due_s": [round(float(one), 4) for one in seen.due],
        "latency_ms": [round(float(one), 3) if ok else None for one, ok in latency],
        "steps_rate": [one.rate for one in steps],
        "steps_p99_ms": [one if math.isfinite(one) else None for one in p99],
    }
    grade.series = grade.series.model_copy(update=series)
