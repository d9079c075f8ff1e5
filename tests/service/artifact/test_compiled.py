"""bf16 in the bundle: parity, seeded weights, and what is compiled for a device."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import VisionTransformer

from service.artifact import compiled
from service.artifact.bfloat16 import (
    LogitDifference,
    export_bfloat16,
    judge_bfloat16,
    logit_difference,
)
from service.artifact.crops import random_crops
from service.artifact.recipe import default_photos
from service.artifact.seeded import seed_of, seeded_labels, seeded_weights, source_of
from service.artifact.verify import Bundle
from service.engines.base import Form
from service.errors import OperatorError
from service.gpu import engine as device_program
from service.model_definition import (
    LITE0,
    ServingModel,
    create_model,
    load_weights,
    published_lite0_weights,
)
from service.preprocessing import PreprocessingSettings

BF16 = Form("bf16", "model.bf16.pt2", "bf16", "service.gpu.engine", ("torch",))


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)


def test_logits_are_recovered_from_probabilities() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(5, 1000)) * 2
    other = logits.copy()
    other[3, 7] += 0.25
    found = logit_difference(softmax(logits), softmax(other + 5))
    assert found.largest == pytest.approx(0.25, abs=1e-3)
    assert found.typical == pytest.approx(2, rel=0.1)
    far = logits.copy()
    far[:, 0] -= 500  # underflows to a probability of 0, of which there is no logarithm
    assert logit_difference(softmax(far), softmax(far)).largest == 0


def test_bf16_is_held_to_its_bound() -> None:
    close = LogitDifference(0.2, 2.0)
    assert "99%" in judge_bfloat16(BF16, 0.995, 400, close)
    assert judge_bfloat16(BF16, 0.0, 0, close)  # nothing is sure of random weights
    for agreement, difference in ((0.98, close), (1.0, LogitDifference(2.1, 2.0))):
        with pytest.raises(OperatorError, match=r"bf16 is not the validated model.*--forms"):
            judge_bfloat16(BF16, agreement, 400, difference)
    with pytest.raises(OperatorError):
        judge_bfloat16(BF16, 1.0, 400, LogitDifference(float("nan"), 2.0))


def test_real_weights_in_bf16_agree_with_fp32_on_real_photos(tmp_path: Path) -> None:
    """EfficientNet-Lite0, whose full count of crops the build measures."""
    model = create_model(LITE0, 1000)
    load_weights(model, published_lite0_weights())
    serving = ServingModel(model, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0))
    crops = random_crops(default_photos().parity, 28, 0, PreprocessingSettings())
    path = tmp_path / BF16.file
    path.write_bytes(export_bfloat16(serving, crops[:2]))
    assert serving.mean.dtype == next(model.parameters()).dtype == torch.float32  # untouched
    found = device_program.load(path, "cpu", 2)(crops)
    with torch.inference_mode():
        reference = serving(torch.from_numpy(crops)).numpy()
    sure = reference.max(axis=1) > 0.3
    agrees = reference.argmax(axis=1) == found.argmax(axis=1)
    assert sure.sum() >= 15
    assert (~agrees[sure]).sum() <= 1  # the build demands 99 % of the sure ones of 700
    difference = logit_difference(reference, found)
    assert difference.largest < difference.typical


def test_seeded_weights_are_the_same_each_time_and_tell_classes_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a ViT, whose classifier torchvision initialises with zeros."""

    def create(_: str, classes: int) -> torch.nn.Module:
        model: torch.nn.Module = VisionTransformer(32, 16, 1, 2, 32, 64, num_classes=classes)
        return model

    monkeypatch.setattr("service.artifact.seeded.create_model", create)
    random_before = torch.get_rng_state()
    first, again, other = (seeded_weights("vit", seed, 20) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), random_before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    head = "heads.head.weight"
    assert not torch.equal(first[head], other[head])
    model = create("", 20)
    load_weights(model, first)
    serving = ServingModel(model, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0))
    with torch.inference_mode():
        answer = serving(torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8))
    assert answer.std(dim=1).min() > 0.01


def test_seeds_are_named_and_said() -> None:
    assert seed_of("seeded:7") == 7
    assert seed_of("weights.safetensors") is None
    with pytest.raises(OperatorError, match="seeded:NUMBER"):
        seed_of("seeded:x")
    with pytest.raises(OperatorError, match="no architecture"):
        seeded_weights("vit_xxl", 0)
    assert "random weights of the seed 7" in source_of(7)
    assert "random" in seeded_labels(2)[1]


def test_only_a_bundle_with_bf16_is_compiled(bundle: Bundle) -> None:
    with pytest.raises(OperatorError, match="--forms eager,bf16"):
        compiled.compile_bundle(bundle.path, "cpu")
