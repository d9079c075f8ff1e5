"""Comparing forms with eager fp32: the crops, the bounds, and what a build says of them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.artifact.exporters import EXPORTERS
from service.artifact.manifest import Parity
from service.artifact.parity import (
    Comparison,
    LogitDifference,
    find_sure,
    gives_one_answer,
    is_decided,
    logit_difference,
    may_be_default,
    measure_parity,
    milliseconds_per_image,
    needs_more,
    probabilities_of,
    random_crops,
)
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.engines.base import PixelBatch, Probabilities
from service.errors import OperatorError
from service.preprocessing import PreprocessingSettings
from tests.service.engines_for_tests import CountingEngine, one_byte


def measure(form: str, reference: Probabilities, found: Probabilities) -> Parity:
    return measure_parity(form, EXPORTERS[form].bound, reference, found)


def test_crops_are_the_same_for_the_same_seed() -> None:
    paths = [photo.path for photo in SAMPLE_PHOTOS]
    first, again, other = (
        random_crops(paths, 9, seed, PreprocessingSettings()) for seed in (3, 3, 4)
    )
    assert first.shape == (9, 224, 224, 3)
    assert (first == again).all()
    assert (first != other).any()
    some = random_crops(paths, 3, 3, PreprocessingSettings(), start=5)
    assert (some == first[5:8]).all()


def test_crops_of_transparent_photos_are_those_that_are_served(tmp_path: Path) -> None:
    """Transparency lies over white, as `preprocess` lays it; not over what is hidden."""
    Image.new("RGBA", (64, 64), (200, 0, 0, 0)).save(tmp_path / "clear.png")
    crops = random_crops([tmp_path / "clear.png"], 2, 0, PreprocessingSettings(32, 32))
    assert (crops == 255).all()


@pytest.mark.parametrize(
    ("wrong", "seen", "left", "known"),
    [
        (0, 50, 650, False),
        (0, 300, 400, True),  # at most 10 of 700 may be wrong
        (5, 350, 350, False),  # near the bound: all are needed
        (30, 64, 636, True),  # it can hardly become right
        (11, 300, 400, True),
        (9, 700, 0, True),
    ],
)
def test_more_crops_only_where_the_outcome_is_open(
    wrong: int, seen: int, left: int, known: bool
) -> None:
    assert is_decided(wrong, seen, left, 0.985) is known


def test_early_outcomes_are_those_of_all_crops() -> None:
    """Over many drawn forms, at most 2 % of the early outcomes differ from those over all crops."""
    random = np.random.default_rng(0)
    other, stopped = 0, 0
    for rate in random.uniform(0, 0.03, 400):
        errors = random.random(700) < rate
        passes = errors.sum() <= 10
        for seen in range(50, 700, 50):
            wrong = int(errors[:seen].sum())
            if is_decided(wrong, seen, 700 - seen, 0.985):
                stopped += 1
                other += (wrong <= 0.015 * seen) != passes
                break
    assert stopped > 100
    assert other <= 0.02 * 400


def test_needs_more_looks_at_all_floors() -> None:
    reference = np.tile(np.array([[0.9, 0.1]], np.float32), (300, 1))
    wrong = reference.copy()
    wrong[:120] = wrong[:120, ::-1]
    assert needs_more(reference[:50], reference[:50], 0.985, True, 700)
    assert not needs_more(reference, wrong, 0.985, True, 700)
    assert not needs_more(reference, reference, 0.985, True, 400)


def test_one_answer_to_all_says_nothing() -> None:
    same = np.tile(np.array([[0.9, 0.1]], np.float32), (5, 1))
    several = np.concatenate([same, same[:1, ::-1]])
    assert gives_one_answer(same, exclusive=True)
    assert not gives_one_answer(several, exclusive=True)
    assert not gives_one_answer(several, exclusive=False)


def test_classes_by_themselves_must_all_agree() -> None:
    reference = np.tile(np.array([[0.9, 0.1], [0.1, 0.95]], np.float32), (100, 1))
    found = reference.copy()
    found[0] = (0.9, 0.6)  # the same first class, another decision
    parity = measure_parity(
        "onnx-int8", EXPORTERS["onnx-int8"].bound, reference, found, exclusive=False
    )
    assert parity.top1_agreement == 0.995
    unsure = np.full((2, 2), 0.6, np.float32)
    assert not find_sure(unsure, exclusive=False).any()


def test_many_images_are_run_in_batches() -> None:
    engine = CountingEngine(seconds=0)
    pixels = np.stack([one_byte(bytes([number])) for number in range(20)])
    np.testing.assert_array_equal(probabilities_of(engine, pixels)[:, 0], np.arange(20))
    assert [len(batch) for batch in engine.batches] == [4, 4, 4, 4, 4]


def test_a_form_under_its_bound_is_refused() -> None:
    reference = np.zeros((100, 3), np.float32)
    reference[:, 0] = 0.9
    found = reference.copy()
    found[:1] = (0, 0.9, 0)
    assert measure("onnx-int8", reference, found).top1_agreement_sure == 0.99
    with pytest.raises(OperatorError, match=r"onnx-fp32 is not the validated model: expected .*99"):
        measure("onnx-fp32", reference, found)
    found[:2] = (0, 0.9, 0)
    with pytest.raises(OperatorError, match=r"98\.00% of the sure crops"):
        measure("onnx-int8", reference, found)
    close = reference + np.float32(2e-4)
    with pytest.raises(OperatorError, match=r"within 0\.0001"):
        measure("torchscript", reference, close)


def test_few_sure_crops_cannot_judge_int8() -> None:
    reference = np.full((700, 10), 0.1, np.float32)
    with pytest.raises(OperatorError, match="sure of only 0 of 700 crops, expected 100"):
        measure("onnx-int8", reference, reference)


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


@pytest.mark.parametrize(
    ("agreement", "sure_crops", "largest", "holds"),
    [
        (0.995, 400, 0.2, True),
        (0.0, 0, 0.2, True),  # random weights are sure of nothing
        (0.98, 400, 0.2, False),
        (1.0, 400, 2.1, False),
        (1.0, 400, float("nan"), False),
    ],
)
def test_bf16_is_held_to_its_bound(
    agreement: float, sure_crops: int, largest: float, holds: bool
) -> None:
    logits = LogitDifference(largest, typical=2.0)
    found = Comparison(700, sure_crops, agreement, agreement, 0.01, logits)
    judge = EXPORTERS["bf16"].bound.judge
    if holds:
        assert "99%" in judge("bf16", found)
    else:
        with pytest.raises(OperatorError, match=r"bf16 is not the validated model: expected"):
            judge("bf16", found)


def test_parity_of_bf16_records_the_logits() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(9, 50)) * 2
    other = logits + random.normal(size=logits.shape) * 0.01
    parity = measure("bf16", softmax(logits), softmax(other))
    assert parity.largest_logit_difference is not None
    assert parity.logit_spread is not None
    assert 0 < parity.largest_logit_difference < 0.1 < parity.logit_spread
    assert measure("torchscript", softmax(logits), softmax(logits)).logit_spread is None


@pytest.mark.parametrize(
    ("sure", "all_crops", "may"), [(0.99, 0.96, True), (0.98, 1, False), (1, 0.95, False)]
)
def test_default_form_must_be_closer_than_the_bound(
    sure: float, all_crops: float, may: bool
) -> None:
    reference = np.eye(3, dtype=np.float32)
    parity = measure("onnx-fp32", reference, reference)
    update = {"top1_agreement_sure": sure, "top1_agreement": all_crops}
    assert may_be_default(parity.model_copy(update=update)) is may


def test_engines_take_turns_while_they_are_timed() -> None:
    order: list[str] = []

    class Named(CountingEngine):
        def __init__(self, name: str, seconds: float) -> None:
            super().__init__(seconds)
            self.name = name

        def work(self, pixels: PixelBatch) -> None:
            order.append(self.name)
            super().work(pixels)

    engines = {"slow": Named("slow", 0.01), "fast": Named("fast", 0)}
    times = milliseconds_per_image(engines, np.stack([one_byte(b"a")]), rounds=3)
    assert order == ["slow", "slow", "fast", "fast"] * 3
    assert times["slow"] >= 10 > times["fast"]
