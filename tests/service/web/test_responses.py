"""The most probable classes, found without sorting them all."""

import numpy as np
import pytest

from service.web.responses import top_predictions


@pytest.mark.parametrize("classes", [5, 1000, 3000, 200_000])
@pytest.mark.parametrize("k", [1, 5])
def test_the_most_probable_of_very_many_classes(classes: int, k: int) -> None:
    values = np.random.default_rng(classes).random(classes, np.float32)
    values[[0, -1]] = 2.0, 3.0  # the first and the last, beyond the last whole block
    values /= values.sum()
    best = np.lexsort((np.arange(classes), -values))[:k]
    found = top_predictions(values, k, [str(number) for number in range(classes)])
    assert [prediction.class_id for prediction in found] == best.tolist()
