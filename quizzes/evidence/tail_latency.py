"""The mean does not show the slowest answers; p99 shows them, given enough samples."""

import time
from collections.abc import Callable, Iterable
from io import BytesIO

import numpy as np
from PIL import Image

from challenges.load.observations import LOST, Observations
from learner.language import _
from quizzes.evidence import Evidence
from quizzes.evidence.exhibit import AUTHOR, run_cells
from service.artifact.sample_photos import SAMPLE_PHOTOS

TARGET_MS = 50
CALLS = 200
EVERY = 50
"""One photo in 50 is as large as those of a phone."""
PHONE = (4000, 3000)
"""Width and height in pixels of a photo of 12 megapixels."""
ENOUGH = 1000
"""Samples from which on a p99 is more than a rough value: ten of them are slower."""
REPEATS, SEED = 1000, 0


def uploads(calls: int = CALLS, every: int = EVERY) -> list[bytes]:
    """Return image files as users send them: small photos, and one in `every` from a phone."""
    small = [photo.read() for photo in SAMPLE_PHOTOS]
    large = BytesIO()
    with Image.open(BytesIO(small[-1])) as photo:
        photo.resize(PHONE).save(large, "JPEG", quality=90)
    return [
        large.getvalue() if call % every == every // 2 else small[call % len(small)]
        for call in range(calls)
    ]


def call_in_turn(predict: Callable[[BytesIO], str], files: Iterable[bytes]) -> Observations:
    """Call `predict` with each file, one call after the other.

    Returns:
        The record of a load run, so that its p99 counts a call that failed as infinitely late.
    """
    started, ended, status = [], [], []
    for data in files:
        started.append(time.perf_counter())
        try:
            predict(BytesIO(data))
            status.append(200)
        except Exception:  # whatever a model raises, the user has no answer
            status.append(LOST)
        ended.append(time.perf_counter())
    due = np.array(started)
    nothing = np.full(len(status), np.nan)
    bodies = [b""] * len(status)
    return Observations(due, due, np.array(ended), np.array(status), bodies, nothing, 0.0)


def spread_of_p99(calls: Observations, samples: int) -> tuple[float, float]:
    """Say how far a p99 of `samples` calls is from the next one, by drawing from real calls.

    Args:
        calls: what was measured.
        samples: calls in each imagined measurement.

    Returns:
        The p99 in ms of a lucky and of an unlucky measurement: 5 % lie below, 5 % above.
    """
    latency = np.where(calls.ok, calls.latency_ms, np.inf)
    drawn = np.random.default_rng(SEED).choice(latency, (REPEATS, samples))
    p99 = np.percentile(drawn, 99, axis=1, method="higher")
    low, high = np.percentile(p99, [5, 95], method="nearest")
    return float(low), float(high)


def run() -> Evidence:
    """Time the exhibit's predict function over some hundred photos, one in 50 of them large."""
    predict = run_cells([*AUTHOR[:-1], "predict"]).predict
    files = uploads()
    predict(BytesIO(files[0]))  # first-time work does not count
    calls = call_in_turn(predict, files)
    mean, p99 = float(calls.latency_ms.mean()), calls.percentile(99)
    assert p99 >= 2 * mean, "no tail"
    return Evidence(
        shows=_(
            "Mean {mean:.0f} ms, p99 {p99:.0f} ms ({samples} samples): {ratio:.1f} times the mean. "
            "The mean alone says neither that {slow} calls were slow nor how slow they were."
        ).format(
            samples=len(files), mean=mean, p99=p99, ratio=p99 / mean, slow=len(files) // EVERY
        ),
        values={_("mean"): mean, _("median"): float(np.median(calls.latency_ms)), "p99": p99},
        unit="ms",
        target=TARGET_MS,
        varies=_("the size of a photo, large in one call of 50; the function is the same."),
    )
