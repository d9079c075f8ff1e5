"""The default model's bundle is built without PyTorch, and is the model that PyTorch has."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import EfficientNet_B0_Weights

from service.artifact import parity
from service.artifact.default_model import (
    RECORDED,
    Recorded,
    best_classes,
    compare_with_recorded,
    find_weights,
    read_recorded,
    read_weights,
    write_graph,
)
from service.artifact.recipe import default_recipe
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.verify import sha256
from service.engines import FORMS, load_engine
from service.engines.base import PixelBatch, Probabilities
from service.errors import OperatorError
from service.model_definition import ServingModel
from service.preprocessing import PreprocessingSettings, preprocess
from service.settings import ROOT

PIXELS = np.stack([preprocess(photo.read(), PreprocessingSettings()) for photo in SAMPLE_PHOTOS])


def run_eager(pixels: PixelBatch) -> Probabilities:
    recipe = default_recipe()
    model = ServingModel(recipe.model, recipe.architecture.mean, recipe.architecture.std)
    with torch.inference_mode():
        return np.asarray(model(torch.from_numpy(pixels)))


def record() -> Recorded:
    """Return what default_model.json should hold, by PyTorch."""
    answers = zip(SAMPLE_PHOTOS, run_eager(PIXELS), strict=True)
    return Recorded(
        weights_sha256=sha256(find_weights()),
        labels=EfficientNet_B0_Weights.DEFAULT.meta["categories"],
        answers={
            photo.name: {name: round(value, 6) for name, value in best_classes(row).items()}
            for photo, row in answers
        },
    )


def test_recorded_answers_are_those_of_pytorch() -> None:
    stored, now = read_recorded(), record()
    assert (stored.weights_sha256, stored.labels) == (now.weights_sha256, now.labels)
    for name, answer in now.answers.items():
        assert stored.answers[name] == pytest.approx(answer, abs=1e-5), "run this file as a module"


def test_written_graph_is_the_model_that_pytorch_has(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(write_graph(read_weights(find_weights())))
    engine = load_engine(FORMS["onnx-fp32"], path, "cpu", 2)
    photos = [photo.path for photo in SAMPLE_PHOTOS]
    crops = parity.random_crops(photos, 60, 2, PreprocessingSettings())
    parity.measure_parity(
        "onnx-fp32", parity.FP32, run_eager(crops), parity.probabilities_of(engine, crops)
    )


def test_weights_are_read_to_the_bit() -> None:
    published = torch.load(find_weights(), weights_only=True)
    read = read_weights(find_weights())
    assert read.keys() == published.keys()
    assert all(np.array_equal(read[name], published[name].numpy()) for name in read)


def test_bundle_is_built_and_served_without_pytorch(tmp_path: Path) -> None:
    """Fewer crops than a real build takes, so the bound of int8, which needs them, is wider."""
    script = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'safetensors'): sys.modules[name] = None\n"
        "from dataclasses import replace\n"
        "from pathlib import Path\n"
        "from service.artifact import __main__, default_model, parity\n"
        "from service.settings import Settings\n"
        "from service.startup import load_model\n"
        "default_model.PARITY_CROPS, default_model.CALIBRATION_CROPS = 20, 10\n"
        "parity.INT8 = replace(parity.INT8, judge=lambda *_: 'not judged')\n"
        "parity.DEFAULT_SURE_AGREEMENT = parity.DEFAULT_AGREEMENT = 0.5\n"
        "__main__.find_spec = lambda _: None\n"
        "assert __main__.main(['build', '--output', sys.argv[1]]) == 0\n"
        "model = load_model(Settings(artifact=Path(sys.argv[1])))\n"
        "print('served', model.form.name, flush=True)\n"
        "import os; os._exit(0)\n"  # the runner's threads would go on
    )
    output = tmp_path / "bundle"
    done = subprocess.run(
        [sys.executable, "-c", script, str(output)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "served onnx-" in done.stdout
    forms = json.loads((output / "manifest.json").read_text())["forms"]
    assert {name: form["parity"]["reference"] for name, form in forms.items()} == {
        "onnx-fp32": "eager fp32, recorded",
        "onnx-int8": "onnx-fp32",
    }


def test_another_model_than_the_recorded_one_is_refused() -> None:
    recorded = read_recorded()
    answers = np.zeros((len(SAMPLE_PHOTOS), len(recorded.labels)), np.float32)
    for row, photo in zip(answers, SAMPLE_PHOTOS, strict=True):
        for class_id, probability in recorded.answers[photo.name].items():
            row[class_id] = probability
    assert compare_with_recorded(answers, recorded).top1_agreement == 1
    answers[3, answers[3].argmax()] -= 2e-4
    with pytest.raises(OperatorError, match=r"not the validated model.*difference 2\.0e-04"):
        compare_with_recorded(answers, recorded)


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


def test_weights_that_run_code_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(OperatorError, match=r"asks for posix.system, expected tensors only"):
        read_weights(path)


if __name__ == "__main__":
    text = json.dumps(record().model_dump(mode="json"), ensure_ascii=False, indent=1)
    RECORDED.write_text(text + "\n")
