"""The panel's requests and its damaged copy, without an event loop."""

import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from learner.processes import Program
from notebooks.panel import background
from service.artifact.sample_photos import SAMPLE_PHOTOS

PHOTO = SAMPLE_PHOTOS[0].read()


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """The address of a running service."""
    command = [sys.executable, "-m", "service.inference_service", "--port", "0"]
    with Program(command) as program:
        line = program.wait_for(" ready ").text
        yield next(word for word in line.split() if "://" in word)


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}"


def test_photos_are_sent_and_every_answer_reported(service: str) -> None:
    answers: list[httpx.Response] = []
    ends: list[tuple[float, float]] = []
    started = time.monotonic()
    background.send_photos(
        *(service, 0, [PHOTO], 3, 60, lambda: True),
        lambda _at, answer: answers.append(answer),
        lambda *end: ends.append(end),
    )
    assert [answer.status_code for answer in answers] == [200] * 3
    assert all(0 < background.milliseconds(answer) < 60_000 for answer in answers)
    assert len(ends) == 1
    assert time.monotonic() - started >= 2 * background.PERIOD_S


def test_no_photo_is_sent_after_the_time_is_over(service: str) -> None:
    answers: list[Any] = []
    background.send_photos(
        *(service, 0, [PHOTO], 50, 0.0, lambda: True),
        lambda *answer: answers.append(answer),
        lambda *_end: None,
    )
    assert len(answers) == 2  # the time begins after the first answer


def test_photos_that_nobody_wants_are_not_sent(service: str) -> None:
    calls: list[Any] = []
    background.send_photos(
        service, 0, [PHOTO], 3, 60, lambda: False, lambda *_: calls.append(1), lambda *_: None
    )
    assert calls == []


def test_watch_tells_the_artifact_and_then_metrics(service: str) -> None:
    told: dict[str, Any] = {}
    background.watch(service, lambda: "metrics" not in told, told.__setitem__)
    assert told["artifact"]["name"] == "efficientnet-lite0"
    assert list(told) == ["artifact", "metrics"]


def test_a_photo_is_classified(service: str) -> None:
    told: list[dict[str, Any]] = []
    background.classify(service, "coffee", PHOTO, told.append)
    assert told[0]["predictions"][0]["label"] == "espresso"
    assert told[0]["total_ms"] > 0


def test_what_is_not_an_image_is_told_with_the_reason(service: str) -> None:
    told: list[dict[str, Any]] = []
    background.classify(service, "notes.txt", b"hello", told.append)
    assert told[0]["key"] == "try_bad"
    assert "not an image" in told[0]["values"]["reason"]


def test_where_nobody_listens_nothing_is_raised(nowhere: str) -> None:
    told: list[Any] = []
    background.classify(nowhere, "coffee", PHOTO, told.append)
    assert told == [{"key": "try_lost", "values": {}}]
    background.watch(nowhere, lambda: True, lambda *_: told.append(1))
    background.send_photos(
        nowhere, 0, [PHOTO], 3, 60, lambda: True, lambda *_: told.append(2), lambda *_: None
    )
    assert len(told) == 1


def test_one_bit_of_the_default_form_differs(bundle_copy: Path, tmp_path: Path) -> None:
    copy, name = background.copy_with_a_flipped_bit(bundle_copy, tmp_path / "damaged")
    files = [path.relative_to(copy) for path in copy.rglob("*") if path.is_file()]
    different = [p for p in files if (copy / p).read_bytes() != (bundle_copy / p).read_bytes()]
    assert [path.as_posix() for path in different] == [name]
    pairs = zip((copy / name).read_bytes(), (bundle_copy / name).read_bytes(), strict=True)
    assert sum((one ^ other).bit_count() for one, other in pairs) == 1


def test_others_are_programs_outside_of_the_service(service: str) -> None:
    """A busy program counts as other when it is not the service, and not when it is."""
    busy = [sys.executable, "-c", "print(1)\nwhile True: pass"]
    shares: dict[int, float] = {}

    def measure(group: int) -> None:
        background.send_photos(
            *(service, group, [PHOTO], 10, 60, lambda: True),
            lambda *_answer: None,
            lambda _at, others: shares.update({group: others}),
        )

    with Program(busy) as program:
        program.wait_for("1", 10)
        measure(program.group)
        measure(0)
    assert 0 <= shares[program.group] < shares[0] <= 1
