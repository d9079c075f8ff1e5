"""The alert fires on what moved far, and on how many windows it does."""

import numpy as np

from quizzes.evidence import drift

CLEAN = np.random.default_rng(0).uniform(0, 1, 5000)
"""Mean 0.5, deviation 0.29."""


def test_the_limit_is_in_standard_errors() -> None:
    error = CLEAN.std() / np.sqrt(100)
    for distance, fires in ((3.9, False), (4.1, True), (-3.9, False), (-4.1, True)):
        assert drift.fires(CLEAN, np.full(100, CLEAN.mean() + distance * error)) is fires


def test_large_windows_see_a_small_move_and_clean_ones_are_silent() -> None:
    moved = CLEAN - 0.06
    shares = [drift.share_that_fires(CLEAN, moved, size) for size in (50, 800, 3200)]
    assert shares[0] < 0.1
    assert shares[0] < shares[1] <= shares[2] == 1
    assert drift.share_that_fires(CLEAN, CLEAN, 800) == 0
    assert 0.2 < drift.share_that_fires(CLEAN, CLEAN, 800, limit=1) < 0.45


def test_pictures_are_as_they_are_dark_and_blurred() -> None:
    plain, dark, blurred = drift.pictures(0)
    assert plain.shape == dark.shape == blurred.shape
    assert dark.mean() < 0.4 * plain.mean()
    assert abs(blurred.mean() - plain.mean()) < 3
    assert blurred.std() < plain.std()
