"""Four planted mistakes: the build refuses each, and names the change that mends it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from service.artifact import build as building
from service.artifact import export
from service.artifact.answers import Answers, read_answers
from service.artifact.recipe import OwnModel, Preprocessing, Recipe, own_recipe
from service.engines.base import PixelBatch
from service.errors import OperatorError
from service.model_definition import ServingModel
from tests.service.artifact.conftest import write_photos

SIDE, RESIZE, CLASSES = 64, 72, 4
FILE = """
import torch
from torch import nn
from service.artifact.recipe import Preprocessing

class Network(nn.Module):
    def __init__(self, transform_input):
        super().__init__()
        torch.manual_seed(0)
        self.transform_input = transform_input
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 4),
        )
        self.layers[-1].weight.data *= 40

    def forward(self, images):
        return self.layers(images * 0.45 - 0.1 if self.transform_input else images)

def build_model():
    return Network(False), Preprocessing(resize=72, crop=64)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    write_photos(folder / "photos")
    (folder / "network.py").write_text(FILE)
    (folder / "labels.txt").write_text("a\nb\nc\nd\n")
    return folder


def make_recipe(folder: Path, **changes: Any) -> Recipe:
    own = OwnModel(
        model=str(folder / "network.py"),
        labels=folder / "labels.txt",
        photos=folder / "photos",
        changes=changes,
    )
    return own_recipe(name="own", version="1", own=own, forms=["torchscript"])


def answer_as_engineer(model: nn.Module, settings: Preprocessing) -> Callable[[Image.Image], Any]:
    """Return the engineer's own code: torchvision's transforms and the model."""
    interpolation = v2.InterpolationMode(settings.interpolation)
    transform = v2.Compose(
        [
            v2.Resize(settings.resize, interpolation), v2.CenterCrop(settings.crop), v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True), v2.Normalize(settings.mean, settings.std),
        ]
    )  # fmt: skip

    def predict(image: Image.Image) -> Any:
        pixels = transform(image)
        pixels = pixels.flip(0) if settings.colour_order == "BGR" else pixels
        with torch.inference_mode():
            return model(pixels[None]).softmax(dim=1)[0].numpy()

    return predict


MISTAKES: dict[str, tuple[bool, dict[str, Any], str]] = {
    "builder argument": (True, {}, "With --arguments transform_input=true it does"),
    "mean": (False, {"mean": (0.5,) * 3, "std": (0.5,) * 3}, "With --mean 0.5,0.5,0.5 --std 0.5"),
    "colour order": (False, {"colour_order": "BGR"}, "With --colour-order BGR"),
    "filter": (False, {"interpolation": "bicubic"}, "With --interpolation bicubic it does"),
    "size": (False, {"resize": 64}, "With --resize 64 it does"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_planted_mistakes_are_found_and_named(
    folder: Path, mistake: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    argument, changes, words = MISTAKES[mistake]
    recipe = make_recipe(folder)
    settings = replace(Preprocessing(resize=RESIZE, crop=SIDE), **changes)
    recipe.model.transform_input = argument  # type: ignore[assignment]
    predict = answer_as_engineer(recipe.model, settings)
    answers = call(predict, folder)
    recipe.model.transform_input = False  # type: ignore[assignment]
    with pytest.raises(OperatorError) as fault:
        building.build(replace(recipe, answers=answers), tmp_path / "bundle", lambda _: None)
    assert "does not answer as your code does" in str(fault.value)
    assert words in str(fault.value)
    assert not (tmp_path / "bundle").exists()


def call(predict: Callable[[Image.Image], Any], folder: Path) -> Answers:
    photos = {}
    for path in sorted((folder / "photos").iterdir()):
        with Image.open(path) as image:
            row = predict(image.convert("RGB"))
        photos[path] = {number: float(value) for number, value in enumerate(row)}
    return Answers("predict", photos)


def test_unknown_differences_get_no_false_advice(folder: Path, tmp_path: Path) -> None:
    recipe = make_recipe(folder)
    predict = answer_as_engineer(recipe.model, Preprocessing(resize=RESIZE, crop=SIDE))
    answers = call(lambda image: predict(image.convert("L").convert("RGB")), folder)
    with pytest.raises(OperatorError, match=r"brings them either\. Used: mean 123\.67,116\.28"):
        building.build(replace(recipe, answers=answers), tmp_path / "bundle", lambda _: None)


def test_right_answers_pass_and_give_the_golden_photos(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "PARITY_CROPS", 21)
    recipe = make_recipe(folder)
    predict = answer_as_engineer(recipe.model, Preprocessing(resize=RESIZE, crop=SIDE))
    answers = call(predict, folder)
    photos = replace(recipe.photos, golden=list(answers.photos))
    lines: list[str] = []
    manifest = building.build(
        replace(recipe, answers=answers, photos=photos), tmp_path / "bundle", lines.append
    )
    assert manifest.held_against.startswith("held against predict: the same first class on 7 of 7")
    for photo, golden in manifest.forms["torchscript"].golden.items():
        given = answers.photos[folder / "photos" / Path(photo).name]
        assert not isinstance(given, int)
        assert max(golden, key=lambda class_id: golden[class_id]) == int(
            np.argmax(list(given.values()))
        )


def test_a_form_that_answers_otherwise_is_left_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken form costs only itself, and its figures are in the manifest."""
    monkeypatch.setattr(building, "PARITY_CROPS", 21)
    recipe = replace(make_recipe(folder), forms=["torchscript", "exported-program"])
    write = export.export_torchscript

    def write_broken(model: ServingModel, example: PixelBatch) -> bytes:
        model.activation = "sigmoid"
        try:
            return write(model, example)
        finally:
            model.activation = "softmax"

    monkeypatch.setattr(export, "export_torchscript", write_broken)
    manifest = building.build(recipe, tmp_path / "bundle", lambda _: None)
    assert list(manifest.forms) == ["exported-program"]
    assert "largest difference" in manifest.left_out["torchscript"]
    assert "--forms" not in manifest.left_out["torchscript"]
    assert not (tmp_path / "bundle" / "model.torchscript.pt").exists()
    with pytest.raises(OperatorError, match="no form is left of the model: form torchscript is"):
        building.build(replace(recipe, forms=["torchscript"]), tmp_path / "other", lambda _: None)
    assert not (tmp_path / "other").exists()


def test_answers_from_a_function_are_read(folder: Path) -> None:
    (folder / "mine.py").write_text("def predict(image): return [0.1, 0.2, 0.3, 0.4]")
    answers = read_answers(f"{folder / 'mine.py'}:predict", folder / "photos", list("abcd"))
    assert len(answers.photos) == 7
