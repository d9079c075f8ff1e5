"""An engineer's own model: built in one command, or refused before the work begins."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import VisionTransformer

from service.artifact import build as building
from service.artifact import recipe as recipes
from service.artifact.__main__ import main
from service.artifact.recipe import describe_seed, draw_weights, parse_seed, seeded_labels
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.verify import verify
from service.errors import OperatorError
from service.model_definition import ServingModel, create_model, load_weights
from service.preprocessing import PreprocessingSettings


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


def test_seeded_weights_repeat_and_tell_classes_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """torchvision initialises the classifier of a ViT with zeros."""

    def create(_: str, classes: int) -> torch.nn.Module:
        model: torch.nn.Module = VisionTransformer(32, 16, 1, 2, 32, 64, num_classes=classes)
        return model

    monkeypatch.setattr(recipes, "create_model", create)
    random_before = torch.get_rng_state()
    first, again, other = (draw_weights("vit", seed, 20) for seed in (1, 1, 2))
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
    assert parse_seed("seeded:7") == 7
    assert parse_seed("weights.safetensors") is None
    with pytest.raises(OperatorError, match="seeded:NUMBER"):
        parse_seed("seeded:x")
    with pytest.raises(OperatorError, match="no architecture"):
        draw_weights("vit_xxl", 0)
    assert "random weights of the seed 7" in describe_seed(7)
    assert "random" in seeded_labels(2)[1]
