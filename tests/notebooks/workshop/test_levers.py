"""The levers: photos of phones, batches, and the plot of where the time goes."""

import io

from PIL import Image

from notebooks.workshop.levers import FULL_DECODE, PHONE, batches_of, phone_photo, stacked
from service.preprocessing import preprocess
from tests.notebooks.workshop.conftest import Shown


def test_a_phones_photo_is_large_and_still_decodes() -> None:
    data = phone_photo()
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("JPEG", PHONE)
    fast, full = preprocess(data), preprocess(data, FULL_DECODE)
    assert fast.shape == full.shape
    assert (fast != full).any()  # the full decoding is another computation


def test_batches_are_the_first_of_the_items() -> None:
    calls = batches_of((1, 3), tuple, [10, 20, 30, 40])
    assert {size: call() for size, call in calls.items()} == {1: (10,), 3: (10, 20, 30)}


def test_stacked_bars_name_their_totals(shown: Shown) -> None:
    stacked({"naive": {"load": 900, "forward": 100}, "fast": {"forward": 20}}, "Time", target=20)
    assert shown.text == (
        "Time; naive: 1,000 ms = 1.0/s (load 900 ms, forward 100 ms); "
        "fast: 20 ms = 50.0/s (forward 20 ms)"
    )
