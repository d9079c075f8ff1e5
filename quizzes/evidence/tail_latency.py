"""The mean hides the slowest answers; p99 shows them."""

from collections.abc import Callable, Iterable
from functools import partial
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from learner.language import _
from learner.stopwatch import time_ms
from quizzes.evidence import Evidence
from quizzes.evidence.exhibit import AUTHOR, run_cells
from service.artifact.sample_photos import SAMPLE_PHOTOS

TARGET_MS = 50
CALLS = 100
EVERY = 50
"""One photo in 50 is as large as those of a phone."""
PHONE = (4000, 3000)
"""Width and height in pixels of a photo of 12 megapixels."""


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


def call_times(
    predict: Callable[[BytesIO], str], files: Iterable[bytes]
) -> npt.NDArray[np.float64]:
    """Call `predict` with each file in turn; return float64, the milliseconds of each call."""
    return np.array([time_ms(partial(predict, BytesIO(data))) for data in files])


def run() -> Evidence:
    """Time the exhibit's predict function over a hundred photos, two of them large."""
    predict = run_cells([*AUTHOR[:-1], "predict"]).predict
    files = uploads()
    predict(BytesIO(files[0]))  # first-time work does not count
    times = call_times(predict, files)
    mean, p99 = float(times.mean()), float(np.percentile(times, 99))
    assert p99 >= 2 * mean, "no tail"
    return Evidence(
        shows=_(
            "The mean of {calls} calls is {mean:.0f} ms, and p99 is {p99:.0f} ms: "
            "{ratio:.1f} times the mean."
        ).format(calls=len(times), mean=mean, p99=p99, ratio=p99 / mean),
        values={_("mean"): mean, _("median"): float(np.median(times)), "p99": p99},
        unit="ms",
        target=TARGET_MS,
    )
