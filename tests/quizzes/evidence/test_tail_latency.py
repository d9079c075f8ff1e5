"""Uploads have rare large photos, and every call is timed."""

from io import BytesIO

from PIL import Image

from quizzes.evidence.tail_latency import PHONE, call_times, uploads


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

    times = call_times(predict, [b"a", b"b"])
    assert seen == [b"a", b"b"]
    assert times.shape == (2,)
    assert (times > 0).all()
