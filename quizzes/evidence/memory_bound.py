"""Weights that each image reads anew: their bytes bound the rate."""

import numpy as np

from learner.language import _
from quizzes.evidence.base import Evidence
from quizzes.evidence.matrix_times import large_matrix, median_s


def run() -> Evidence:
    """Time one image's features through matrices of two sizes."""
    image = np.ones(1280, dtype=np.float32)
    large = large_matrix(120_000)
    half = large[: len(large) // 2]
    large_s, half_s = median_s(lambda: large @ image), median_s(lambda: half @ image)
    assert large_s > 1.3 * half_s, f"{large_s * 1000:.0f} ms, {half_s * 1000:.0f} ms"
    read = large.nbytes / large_s
    return Evidence(
        shows=_(
            "An image through {megabytes:.0f} MB of weights takes {large:.0f} ms, through half of "
            "them {half:.0f} ms. That is {rate:.0f} GB a second, so with 1 GB of weights at most "
            "{images:.0f} images a second, one at a time."
        ).format(
            megabytes=large.nbytes / 1e6,
            large=large_s * 1000,
            half=half_s * 1000,
            rate=read / 1e9,
            images=read / 1e9,
        ),
        values={_("half of the weights"): half_s * 1000, _("all of the weights"): large_s * 1000},
        unit="ms",
    )
