"""Uploads have rare large photos, and every call is timed."""

import dataclasses
import math
from io import BytesIO

import numpy as np
from PIL import Image

from quizzes.evidence.tail_latency import PHONE, call_in_turn, spread_of_p99, uploads


def test_one_photo_in_fifty_is_from_a_phone() -> None:
    sizes = [Image.open(BytesIO(data)).size for data in uploads(100, 50)]
    assert len(sizes) == 100
    assert sizes.count(PHONE) == 2
    assert sizes[0] != PHONE, "the first call does not count"


def test_each_file_is_given_to_the_function_once() -> None:
    seen: list[bytes] = []

    def predict(file: BytesIO) -> str:
        seen.append(file.read())
        return ""

    calls = call_in_turn(predict, [b"a", b"b"])
    assert seen == [b"a", b"b"]
    assert calls.latency_ms.shape == (2,)
    assert (calls.latency_ms > 0).all()
    assert calls.ok.all()


def test_a_call_that_fails_makes_p99_infinite() -> None:
    def predict(file: BytesIO) -> str:
        if file.read() == b"bad":
            raise OSError
        return ""

    calls = call_in_turn(predict, [b"good", b"bad"])
    assert calls.ok.tolist() == [True, False]
    assert calls.percentile(99) == math.inf


def test_a_p99_of_few_samples_is_wide() -> None:
    calls = call_in_turn(lambda file: "", [b""] * 200)
    done = calls.due + np.where(np.arange(200) % 50 == 0, 0.2, 0.04)
    calls = dataclasses.replace(calls, done=done)
    few, many = spread_of_p99(calls, 100), spread_of_p99(calls, 3000)
    assert np.allclose(few, (40, 200)), "some see no slow call at all"
    assert np.allclose(many, (200, 200))
