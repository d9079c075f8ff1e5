"""int8 keeps the tolerance; wrong preprocessing, weights and classes do not."""

import json
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from challenges.load.images import PhotoMaker
from challenges.minimal_service.grading.criteria.answers import MOST_OF_ONE
from challenges.minimal_service.grading.measuring import oracle as bounds
from challenges.minimal_service.grading.measuring.oracle import (
    Answer,
    Comparison,
    Truth,
    WrongForm,
    compare,
    parse,
)
from challenges.minimal_service.grading.measuring.photos import format_photos
from service.artifact.verify import Bundle
from service.engines import onnx_runtime
from service.preprocessing import Pixels, PreprocessingSettings, preprocess
from tests.selftest.models import make_small_model

Floats = npt.NDArray[np.float32]
Prepare = Callable[[bytes], Pixels]
LABELS = ["cup", "espresso", "tripod", "daisy", "palace", "moped"]


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return Truth(make_small_model(tmp_path_factory.mktemp("model") / "small", 4).path)


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    return PhotoMaker(1).photos(40)


@pytest.fixture(scope="module")
def right(truth: Truth, photos: list[bytes]) -> Floats:
    return truth.probabilities(stacked(photos))


def answers(probabilities: Floats) -> list[Answer]:
    best = np.argsort(-probabilities, axis=1)[:, :5]
    return [
        Answer(tuple(map(int, ids)), tuple(float(row[one]) for one in ids))
        for ids, row in zip(best, probabilities, strict=True)
    ]


def stacked(photos: Sequence[bytes], prepare: Prepare = preprocess) -> Pixels:
    return np.stack([prepare(photo) for photo in photos])


def close(found: Comparison) -> bool:
    return (
        found.agrees_enough
        and found.quantile(0.5) <= bounds.MOST_MEDIAN
        and found.quantile(0.95) <= bounds.MOST_P95
    )


def test_the_model_agrees_with_itself(truth: Truth, photos: list[bytes], right: Floats) -> None:
    """The size of a batch does not matter."""
    found = truth.compare(photos[:20], answers(right[:20]))
    assert found.agreement == 1
    assert found.quantile(1) < 1e-4
    assert 0.4 < np.mean(compare(right, answers(right)).sure) < 0.95
    assert close(found)


def test_int8_keeps_the_tolerance(tmp_path: Path, bundle: Bundle, photos: list[bytes]) -> None:
    """The default bundle's, against the 1,000 classes that it knows, with room to spare."""
    from challenges.catalogue.model import make_model

    real = Truth(make_model(tmp_path / "real", editions=1, say=lambda _: None).path)
    engine = onnx_runtime.load(bundle.path / "model.int8.onnx", "cpu", 2)
    found = real.compare(photos, answers(engine(stacked(photos))))
    assert close(found)
    assert found.quantile(0.5) < bounds.MOST_MEDIAN / 1.5
    kinds = [photo.data for photo in format_photos(1)]
    one_each = real.compare(kinds, answers(engine(stacked(kinds))))
    assert one_each.quantile(1) < MOST_OF_ONE / 1.5


def squeezed(photo: bytes) -> Pixels:
    return np.array(Image.open(BytesIO(photo)).convert("RGB").resize((224, 224)))


def not_resized_first(photo: bytes) -> Pixels:
    return preprocess(photo, PreprocessingSettings(resize=224))


def nearest(photo: bytes) -> Pixels:
    image = Image.open(BytesIO(photo)).convert("RGB").resize((341, 256), Image.Resampling.NEAREST)
    return np.array(image.crop((58, 16, 58 + 224, 16 + 224)))


def swapped(photo: bytes) -> Pixels:
    return np.ascontiguousarray(preprocess(photo)[..., ::-1])


@pytest.mark.parametrize("wrong", [squeezed, not_resized_first, nearest, swapped])
def test_wrong_preprocessing_does_not(
    truth: Truth, photos: list[bytes], right: Floats, wrong: Prepare
) -> None:
    assert not close(compare(right, answers(truth.probabilities(stacked(photos, wrong)))))


def test_another_normalisation_does_not(truth: Truth, photos: list[bytes], right: Floats) -> None:
    imagenet = 127 + 128 * (
        (stacked(photos) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    )  # as pixels that the right normalisation takes back to it
    import torch

    model = truth._model
    assert model is not None
    with torch.inference_mode():
        found = model(torch.from_numpy(imagenet.astype(np.float32))).numpy()
    assert not close(compare(right, answers(found)))


def test_classes_that_are_left_out_are_missed(right: Floats) -> None:
    """Every first answer is right, but not the probabilities."""
    real = right[:, :1000]
    found = compare(right, answers(real / real.sum(axis=1, keepdims=True)))
    assert found.agrees_enough
    assert not close(found)


def without_orientation(photo: bytes) -> Pixels:
    image = Image.open(BytesIO(photo))
    image.getexif().clear()
    file = BytesIO()
    image.save(file, "PNG")
    return preprocess(file.getvalue())


def transparency_ignored(photo: bytes) -> Pixels:
    file = BytesIO()
    Image.open(BytesIO(photo)).convert("RGBA").convert("RGB").save(file, "PNG")
    return preprocess(file.getvalue())


def clipped(photo: bytes) -> Pixels:
    image = np.asarray(Image.open(BytesIO(photo)))
    file = BytesIO()
    Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(file, "PNG")
    return preprocess(file.getvalue())


@pytest.mark.parametrize("seed", [4, 5])
def test_each_kind_shows_when_it_is_read_wrongly(truth: Truth, seed: int) -> None:
    wrong: dict[str, Prepare] = {
        **{f"JPEG, EXIF orientation {number}": without_orientation for number in range(3, 9)},
        "PNG, RGBA": transparency_ignored,
        "PNG, palette with transparency": transparency_ignored,
        "WebP, lossless with alpha": transparency_ignored,
        "PNG, 16-bit grey": clipped,
        "JPEG, very wide": squeezed,
    }
    photos = {photo.kind: photo.data for photo in format_photos(seed)}
    right = truth.probabilities(stacked([photos[kind] for kind in wrong]))
    pixels = np.stack([prepare(photos[kind]) for kind, prepare in wrong.items()])
    differences = compare(right, answers(truth.probabilities(pixels))).difference
    unseen = {
        kind: difference
        for kind, difference in zip(wrong, differences, strict=True)
        if difference <= MOST_OF_ONE
    }
    assert not unseen


def test_chance_is_not_held_against_a_service() -> None:
    """3 of 200 photos may always be missed, a few more by chance, but not 20."""

    def missed(count: int) -> Comparison:
        agrees = [False] * count + [True] * (200 - count)
        return Comparison(difference=[0.0] * 200, sure=[True] * 200, agrees=agrees)

    assert [missed(count).agrees_enough for count in (0, 3, 6, 20)] == [True, True, True, False]
    assert missed(20).agreement == pytest.approx(0.9)
    assert Comparison().agrees_enough
    unsure = Comparison(difference=[0.0], sure=[False], agrees=[False])
    assert unsure.agreement == 1


def body(**changes: Any) -> bytes:
    right: dict[str, Any] = {
        "ids": [1, 0, 2, 3, 4],
        "labels": ["espresso", "cup", "tripod", "daisy", "palace"],
        "shares": [0.5, 0.2, 0.1, 0.1, 0.05],
    } | changes
    keys = ("class_id", "label", "probability")
    rows = zip(right["ids"], right["labels"], right["shares"], strict=True)
    return json.dumps({"predictions": [dict(zip(keys, row, strict=True)) for row in rows]}).encode()


def test_a_right_answer_is_taken() -> None:
    assert parse(body(), LABELS) == Answer((1, 0, 2, 3, 4), (0.5, 0.2, 0.1, 0.1, 0.05))


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"<html>",
        b"[" * 100_000,
        b'{"error": "overloaded"}',
        b'{"predictions": []}',
        b'{"predictions": {"a": 1}}',
        b'{"predictions": [1, 2, 3, 4, 5]}',
        body(ids=[1, 1, 2, 3, 4]),
        body(ids=[1, 0, 2, 3, 99]),
        body(ids=[-1, 0, 2, 3, 4]),
        body(ids=["1", 0, 2, 3, 4]),
        body(ids=[[1], 0, 2, 3, 4]),
        body(ids=[True, 0, 2, 3, 4]),
        body(labels=["espresso", "cup", "tripod", "daisy", "moped"]),
        body(shares=[0.1, 0.2, 0.3, 0.1, 0.05]),
        body(shares=[0.9, 0.8, 0.1, 0.1, 0.05]),
        body(shares=[0.5, 0.2, 0.1, 0.1, -0.05]),
        body(shares=[float("nan"), 0.2, 0.1, 0.1, 0.05]),
        body(shares=["0.5", 0.2, 0.1, 0.1, 0.05]),
        body(shares=[10**400, 0.2, 0.1, 0.1, 0.05]),
    ],
)
def test_what_is_no_answer_is_named(wrong: bytes) -> None:
    with pytest.raises(WrongForm) as caught:
        parse(wrong, LABELS)
    assert 20 < len(str(caught.value)) < 600
