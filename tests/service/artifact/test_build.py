"""Building: what a bundle holds, that it is the same twice, and that a failed build leaves nothing.

The default artifact's own parity is measured and bounded when it is built; here it is read back.
"""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from service.artifact import build as building
from service.artifact import export, parity
from service.artifact.__main__ import main
from service.artifact.build import build
from service.artifact.crops import random_crops
from service.artifact.placement import folder_beside
from service.artifact.recipe import Recipe, default_recipe
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.verify import Bundle, check_code, verify
from service.engines import FORMS, STANDARD_FORMS, load_engine
from service.errors import OperatorError
from service.model_definition import create_model
from service.preprocessing import PreprocessingSettings, preprocess
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


def test_crops_are_the_same_for_the_same_seed() -> None:
    paths = [photo.path for photo in SAMPLE_PHOTOS]
    first, again, other = (
        random_crops(paths, 9, seed, PreprocessingSettings()) for seed in (3, 3, 4)
    )
    assert first.shape == (9, 224, 224, 3)
    assert (first == again).all()
    assert (first != other).any()


def test_two_builds_are_the_same(
    bundle: Bundle, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default artifact and a second build: the same hashes of weights and ONNX."""
    monkeypatch.setattr(building, "PARITY_CROPS", 70)
    monkeypatch.setattr(parity, "FEWEST_SURE_CROPS", 1)
    monkeypatch.setattr(parity, "INT8_SURE_AGREEMENT", 0.9)  # of few crops; not measured
    manifest = build(recipe, tmp_path / "again", lambda _: None)
    for name in ("weights.safetensors", "model.onnx", "model.int8.onnx"):
        assert manifest.files[name] == bundle.manifest.files[name]


def test_a_form_under_its_bound_fails_the_build() -> None:
    reference = np.zeros((100, 3), np.float32)
    reference[:, 0] = 0.9
    found = reference.copy()
    found[:1] = (0, 0.9, 0)
    assert parity.measure_parity(FORMS["onnx-int8"], reference, found).top1_agreement_sure == 0.99
    with pytest.raises(OperatorError, match=r"onnx-fp32 is not the validated model: expected .*99"):
        parity.measure_parity(FORMS["onnx-fp32"], reference, found)
    found[:2] = (0, 0.9, 0)
    with pytest.raises(OperatorError, match=r"98\.00% of the sure crops"):
        parity.measure_parity(FORMS["onnx-int8"], reference, found)
    close = reference + np.float32(2e-4)
    with pytest.raises(OperatorError, match=r"within 0\.0001"):
        parity.measure_parity(FORMS["torchscript"], reference, close)


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


def test_what_a_killed_build_left_is_removed_and_no_artifact(tmp_path: Path) -> None:
    left_over = tmp_path / ".artifact.building-abc"
    left_over.mkdir()
    with pytest.raises(OperatorError, match="no complete artifact"):
        verify(left_over)
    with folder_beside(tmp_path / "artifact") as folder:
        assert [path for path in tmp_path.iterdir() if path.is_dir()] == [folder]


def test_other_folders_are_not_overwritten(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(OperatorError, match="exists and is no artifact"):
        build(recipe, tmp_path, lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_default_form() -> None:
    """The fastest that is close enough and needs no torch; failing that, what there is."""

    def chosen(**forms: tuple[float, float]) -> str:
        record = verify(DEFAULT_ARTIFACT).manifest.forms["eager"]
        records = {}
        for name, (agreement, milliseconds) in forms.items():
            measured = record.parity.model_copy(update={"top1_agreement_sure": agreement})
            update = {"parity": measured, "milliseconds_per_image": milliseconds}
            records[name.replace("_", "-")] = record.model_copy(update=update)
        return building._choose_default(records)[0]

    assert chosen(eager=(1, 1), onnx_fp32=(1, 9), onnx_int8=(0.99, 4)) == "onnx-int8"
    assert chosen(eager=(1, 1), onnx_fp32=(1, 9), onnx_int8=(0.985, 4)) == "onnx-fp32"
    assert chosen(eager=(1, 20), torchscript=(1, 15)) == "torchscript"
    assert chosen(onnx_int8=(0.985, 4)) == "onnx-int8"


@pytest.fixture
def own_model(tmp_path: Path) -> list[str]:
    """The command line for an engineer's own model: a small torchvision network, three labels."""
    torch.manual_seed(0)
    model = create_model("mobilenet_v3_small", 3)
    save_file(model.state_dict(), tmp_path / "own.safetensors")
    (tmp_path / "labels.txt").write_text("cat\nneko 猫\nkucing\n", "utf-8")
    return [
        "build", "--architecture", "mobilenet_v3_small", "--forms", "eager,onnx-fp32",
        "--weights", str(tmp_path / "own.safetensors"), "--labels", str(tmp_path / "labels.txt"),
        "--output", str(tmp_path / "own"), "--name", "own-model", "--version", "2.1",
    ]  # fmt: skip


def test_own_model_in_one_command(
    own_model: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "PARITY_CROPS", 14)
    assert main(own_model) == 0
    manifest = verify(tmp_path / "own").manifest
    assert (manifest.name, manifest.version) == ("own-model", "2.1")
    assert manifest.labels == ("cat", "neko 猫", "kucing")
    # torchvision's own settings for this architecture
    assert manifest.preprocessing == PreprocessingSettings(256, 224, "bilinear")
    assert manifest.architecture.mean == pytest.approx((123.675, 116.28, 103.53))


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--architecture", "resnet51", "--architecture resnet51: expected efficientnet_lite0 or"),
        ("--architecture", "resnet18", "the weights do not fit the architecture"),
        ("--weights", "no-such-file", "--weights no-such-file: expected a safetensors file"),
        ("--weights", __file__, "expected a safetensors file of the model's state_dict"),
        ("--labels", "no-such-file", "--labels no-such-file: expected a UTF-8 text file"),
        ("--photos", "service", "expected at least 4 JPEG, PNG or WebP files, found 0"),
    ],
)
def test_own_model_that_does_not_fit(
    own_model: list[str], option: str, value: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*own_model, option, value]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_own_photos_are_looked_at_first(
    own_model: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for photo in SAMPLE_PHOTOS:
        (folder / Path(photo.file).name).write_bytes(photo.read())
    (folder / "broken.jpg").write_bytes(SAMPLE_PHOTOS[4].read()[:5000])
    assert main([*own_model, "--photos", str(folder)]) == 1
    assert "broken.jpg: the image is truncated" in capsys.readouterr().err


def test_few_sure_crops_cannot_judge_int8() -> None:
    reference = np.full((700, 10), 0.1, np.float32)
    with pytest.raises(OperatorError, match="sure of only 0 of 700 crops, expected 100"):
        parity.measure_parity(FORMS["onnx-int8"], reference, reference)


def test_own_model_needs_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--architecture", "resnet18"]) == 1
    assert "needs --weights (safetensors, or seeded:0) and --labels" in capsys.readouterr().err
    assert main(["build", "--labels", "labels.txt"]) == 1
    assert "--labels: for a model of your own only; add --architecture" in capsys.readouterr().err
    with pytest.raises(SystemExit) as exit_status:
        main(["build", "--forms", "onnx-fp64"])
    assert exit_status.value.code == 2
    assert "'onnx-fp64' is none of eager, torchscript" in capsys.readouterr().err
