"""Building: what a bundle holds, that it is the same twice, and that a failed build leaves nothing.

The default artifact's own parity is measured and bounded when it is built; here it is read back.
"""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from service.artifact import build as building
from service.artifact import export, parity
from service.artifact.build import build
from service.artifact.code import check_code
from service.artifact.recipe import Recipe, default_recipe
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.validate import choose_default
from service.artifact.verify import Bundle, verify
from service.engines import FORMS, STANDARD_FORMS, load_engine
from service.errors import OperatorError
from service.preprocessing import preprocess
from service.settings import DEFAULT_ARTIFACT


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return default_recipe(("onnx-fp32", "onnx-int8"))


def test_manifest_of_the_default_artifact(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert list(manifest.forms) == list(STANDARD_FORMS)
    assert len(manifest.labels) == 1000
    for name, record in manifest.forms.items():
        measured = record.parity
        assert measured.crops >= 500
        assert measured.sure_crops >= 300
        if FORMS[name].precision == "fp32":
            assert measured.top1_agreement == 1
            assert measured.largest_probability_difference <= 1e-4
        else:
            assert measured.top1_agreement_sure >= 0.985
        assert len(record.golden) == len(SAMPLE_PHOTOS)
    assert manifest.default_form in manifest.default_form_reason
    check_code(bundle)


@pytest.mark.parametrize("form", STANDARD_FORMS)
def test_forms_take_any_batch_size(bundle: Bundle, form: str) -> None:
    engine = load_engine(FORMS[form], bundle.path / FORMS[form].file, "cpu", threads=1)
    photos = np.stack([preprocess(photo.read()) for photo in SAMPLE_PHOTOS])
    together = engine(photos)
    one_by_one = np.concatenate([engine(photo[None]) for photo in photos])
    assert together.shape == (len(photos), 1000)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, one_by_one, atol=1e-4)
    assert (together.argmax(axis=1) == one_by_one.argmax(axis=1)).all()


def test_two_builds_are_the_same_and_say_what_they_do(
    bundle: Bundle, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default artifact and a second build: the same hashes of weights and ONNX."""
    monkeypatch.setattr(building, "PARITY_CROPS", 70)
    monkeypatch.setattr(parity, "FEWEST_SURE_CROPS", 1)
    monkeypatch.setattr(parity, "INT8_SURE_AGREEMENT", 0.9)  # of few crops; not measured
    notes: list[tuple[str, str]] = []
    manifest = build(
        recipe,
        tmp_path / "again",
        lambda _: None,
        note=lambda step, doing: notes.append((step, doing)),
    )
    assert ("[build]", "eager fp32, 66 of 70 crops") in notes
    for step in ("[build 1/2] onnx-fp32:", "[build 2/2] onnx-int8:"):
        assert notes.index((step, "export")) < notes.index((step, "compare, 50 of 70 crops"))
    for name in ("weights.safetensors", "model.onnx", "model.int8.onnx"):
        assert manifest.files[name] == bundle.manifest.files[name]


def test_disk_full_leaves_nothing(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(export, "export_weights", full)
    with pytest.raises(OperatorError, match=r"No space left on device\. Nothing was left behind"):
        build(recipe, tmp_path / "artifact", lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == [".artifact.lock"]


def test_an_older_artifact_survives_a_failed_build(
    recipe: Recipe, bundle_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "export_weights", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(recipe, bundle_copy, lambda _: None)
    verify(bundle_copy)
    assert [path for path in bundle_copy.parent.iterdir() if path.is_dir()] == [bundle_copy]


def test_default_form() -> None:
    """The fastest that is close enough and needs no torch; failing that, what there is."""

    def chosen(**forms: tuple[float, float]) -> str:
        record = verify(DEFAULT_ARTIFACT).manifest.forms["eager"]
        records = {}
        for name, (agreement, milliseconds) in forms.items():
            measured = record.parity.model_copy(update={"top1_agreement_sure": agreement})
            update = {"parity": measured, "milliseconds_per_image": milliseconds}
            records[name.replace("_", "-")] = record.model_copy(update=update)
        return choose_default(records)[0]

    assert chosen(eager=(1, 1), onnx_fp32=(1, 9), onnx_int8=(0.99, 4)) == "onnx-int8"
    assert chosen(eager=(1, 1), onnx_fp32=(1, 9), onnx_int8=(0.985, 4)) == "onnx-fp32"
    assert chosen(eager=(1, 20), torchscript=(1, 15)) == "torchscript"
    assert chosen(onnx_int8=(0.985, 4)) == "onnx-int8"
