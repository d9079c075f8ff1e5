"""Each check of the answers finds its own fault."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from challenges.catalogue.model import make_model
from challenges.load.client import Answer as Reply
from challenges.load.images import PhotoMaker
from challenges.minimal_service.grading.criteria import answers
from challenges.minimal_service.grading.measuring import oracle as truth
from challenges.minimal_service.grading.measuring.oracle import Truth
from challenges.minimal_service.grading.measuring.photos import FormatPhoto, bad_inputs
from challenges.minimal_service.grading.verdict import CriterionResult


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 1,000 classes that the default bundle knows."""
    folder = tmp_path_factory.mktemp("model") / "real"
    return make_model(folder, editions=1, say=lambda _: None).path


class Answering:
    """Stands for a service that answers as it is told."""

    def __init__(self, model: Path, photos: Sequence[bytes]) -> None:
        self.truth = Truth(model)
        from service.preprocessing import preprocess

        self.replies = {}
        for photo in photos:
            row = self.truth.probabilities(preprocess(photo)[None])[0]
            first = [
                {
                    "class_id": int(one),
                    "label": self.truth.labels[one],
                    "probability": float(row[one]),
                }
                for one in (-row).argsort()[: truth.FIRST]
            ]
            self.replies[photo] = json.dumps({"predictions": first}).encode()

    def asked(self, photos: Sequence[bytes]) -> answers.Asked:
        replies = [Reply(200, self.replies[photo]) for photo in photos]
        return answers.Asked(
            formats=[
                (FormatPhoto("JPEG", photo), reply)
                for photo, reply in zip(photos, replies, strict=True)
            ],
            again=[(reply, reply) for reply in replies],
            bad={name: Reply(400, b"{}") for name in bad_inputs(photos[0])},
            lives=True,
        )


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    return PhotoMaker(9).photos(12)


@pytest.fixture(scope="module")
def service(model: Path, photos: list[bytes]) -> Answering:
    return Answering(model, photos)


def judged(service: Answering, asked: answers.Asked, bodies: Sequence[bytes]) -> CriterionResult:
    sampled = list(zip(service.replies, bodies, strict=True))
    return answers.judge(asked, sampled, service.truth)[0]


def failed(result: CriterionResult) -> set[str]:
    return {check.id for check in result.checks if check.passed is False}


def test_right_answers_are_all_points(service: Answering, photos: list[bytes]) -> None:
    result = judged(service, service.asked(photos[:3]), list(service.replies.values()))
    assert (result.status, result.points) == ("passed", 20)


def test_answers_that_are_not_the_photos_own_are_no_points(
    service: Answering, photos: list[bytes]
) -> None:
    right = list(service.replies.values())
    for bodies in (right[:1] * len(right), right[1:] + right[:1], [b'{"error": 1}'] * len(right)):
        result = judged(service, service.asked(photos[:3]), bodies)
        assert result.points == 0
        assert failed(result)


def test_an_error_inside_200_is_no_points(service: Answering, photos: list[bytes]) -> None:
    asked = service.asked(photos[:3])
    asked.bad["text"] = Reply(200, b'{"error": "no image"}')
    result = judged(service, asked, list(service.replies.values()))
    assert failed(result) == {"bad-refused"}
    assert result.points == 0


@pytest.mark.parametrize("wrong", ["same-again", "formats", "bad-refused", "lives-on"])
def test_each_check_finds_its_own_fault(
    service: Answering, photos: list[bytes], wrong: str
) -> None:
    asked = service.asked(photos[:3])
    replies = [reply for _photo, reply in asked.formats]
    match wrong:
        case "same-again":
            asked.again[0] = (replies[0], replies[1])
        case "formats":
            asked.formats[0] = (asked.formats[0][0], Reply(500, b""))
        case "bad-refused":
            asked.bad["text"] = Reply(500, b"")
        case _:
            asked.lives = False
    result = judged(service, asked, list(service.replies.values()))
    assert failed(result) == {wrong}
    assert 0 < result.points < 20


def test_a_503_is_asked_again_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_PAUSE_S", 0.0)
    for statuses, answered in (([200], 200), ([503, 200], 200), ([503, 503, 200], 503)):
        replies = iter([Reply(status, b"") for status in statuses])
        monkeypatch.setattr(answers, "ask", lambda *_, replies=replies: next(replies))
        reply = answers._ask(1, b"")
        assert reply is not None
        assert reply.status == answered
