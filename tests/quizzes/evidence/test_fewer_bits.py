"""The check accepts a small form that nearly agrees, and no other."""

import pytest

from quizzes.evidence.fewer_bits import FP32, INT8, Compared, check


def test_a_quarter_of_the_size_and_nearly_the_same_answers_pass() -> None:
    check(Compared({FP32: 18.0, INT8: 5.0}, {}, 0.97))


@pytest.mark.parametrize(("megabytes", "agreement"), [(9.0, 0.97), (5.0, 0.8)])
def test_a_large_or_another_model_is_refused(megabytes: float, agreement: float) -> None:
    with pytest.raises(AssertionError):
        check(Compared({FP32: 18.0, INT8: megabytes}, {}, agreement))
