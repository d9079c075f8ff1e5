"""Shares of right answers, and a model with another normalisation."""

import numpy as np

from quizzes.evidence import preprocessing_skew
from service.engines.base import Probabilities


def _first_classes(*classes: int) -> Probabilities:
    probabilities = np.zeros((len(classes), 1000), np.float32)
    probabilities[range(len(classes)), classes] = 1
    return probabilities


def test_shares_count_first_classes() -> None:
    espresso, tabby, tench = 967, 281, 0
    validated = _first_classes(espresso, tabby)
    assert preprocessing_skew.right_share(validated) == 1
    assert preprocessing_skew.right_share(_first_classes(espresso, tench)) == 0.5
    assert preprocessing_skew.changed_share(validated, _first_classes(tench, tabby)) == 0.5


def test_same_normalisation_gives_the_same_answers() -> None:
    pixels = preprocessing_skew.cuts()[:7]
    same = preprocessing_skew.with_normalisation([127 / 255] * 3, [128 / 255] * 3)
    np.testing.assert_allclose(same(pixels), preprocessing_skew.engine()(pixels), atol=1e-5)
