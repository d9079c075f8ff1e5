"""Bundles that differ in one thing are whole, and answer as they were changed to."""

from pathlib import Path

import numpy as np
import pytest

from challenges.load.images import distinct_images
from challenges.releases.bundles import Change, answers_of, make_bundle
from learner.artifact import bundle
from service.artifact.manifest import Manifest
from service.artifact.verify import environment_differences, verify
from service.errors import OperatorError

PHOTOS = distinct_images(12)


def default_manifest(form: str) -> Manifest:
    return bundle().manifest.model_copy(update={"default_form": form})


def test_another_form_is_whole_and_answers_the_same(tmp_path: Path) -> None:
    made = verify(make_bundle(tmp_path / "made", Change("1.1.0")))
    assert (made.manifest.version, list(made.manifest.forms)) == ("1.1.0", ["onnx-fp32"])
    ours = answers_of(made.path, made.manifest, PHOTOS)
    theirs = answers_of(bundle().path, default_manifest("onnx-fp32"), PHOTOS)
    np.testing.assert_array_equal(ours, theirs)


def test_a_skewed_bundle_is_whole_but_answers_otherwise(tmp_path: Path) -> None:
    made = verify(make_bundle(tmp_path / "made", Change("1.1.1", skewed=True)))
    assert made.manifest.forms["onnx-fp32"].golden != bundle().manifest.forms["onnx-fp32"].golden
    ours = answers_of(made.path, made.manifest, PHOTOS)
    theirs = answers_of(bundle().path, default_manifest("onnx-fp32"), PHOTOS)
    assert np.abs(ours - theirs).max() > 0.05
    np.testing.assert_allclose(ours.sum(axis=1), 1, atol=1e-3)


def test_packages_are_those_of_the_change(tmp_path: Path) -> None:
    change = Change("1.1.2", packages=(("pillow", "1.0"),))
    made = verify(make_bundle(tmp_path / "made", change))
    (difference,) = environment_differences(made.manifest, ["pillow"])
    assert "validated with 1.0" in difference


def test_a_changed_byte_is_still_noticed(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "made", Change("1.1.0"))
    file = folder / "model.onnx"
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    with pytest.raises(OperatorError, match=r"model\.onnx was changed"):
        verify(folder)
