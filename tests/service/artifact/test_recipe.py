"""An engineer's own model: built in one command, or refused before the work begins."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import VisionTransformer

from service.artifact import build as building
from service.artifact import parity
from service.artifact import recipe as recipes
from service.artifact.__main__ import main
from service.artifact.recipe import (
    OwnModel,
    Preprocessing,
    describe_seed,
    draw_weights,
    load_model_file,
    own_recipe,
    parse_seed,
    read_labels,
    read_weights,
    seeded_labels,
)
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.verify import verify
from service.engines import FORMS, load_engine
from service.errors import OperatorError
from service.model_definition import ServingModel, load_weights
from service.preprocessing import PreprocessingSettings, preprocess
from tests.service.artifact.conftest import write_photos

ARCHITECTURE = "mobilenet_v3_small"


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return draw_weights(ARCHITECTURE, 0, 3)


@pytest.fixture
def own_model(tmp_path: Path, weights: dict[str, torch.Tensor]) -> list[str]:
    """The command line for an engineer's own model: a small torchvision network, three labels."""
    save_file(weights, tmp_path / "own.safetensors")
    (tmp_path / "labels.txt").write_text("cat\nneko 猫\nkucing\n", "utf-8")
    return [
        "build", "--architecture", ARCHITECTURE, "--forms", "eager,torchscript",
        "--weights", str(tmp_path / "own.safetensors"), "--labels", str(tmp_path / "labels.txt"),
        "--output", str(tmp_path / "own"), "--name", "own-model", "--version", "2.1",
    ]  # fmt: skip


def test_own_model_in_one_command(
    own_model: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its sizes are torchvision's own, or those given; the build says which it assumed."""
    monkeypatch.setattr(building, "PARITY_CROPS", 14)
    # random weights give one class to all crops
    monkeypatch.setattr(parity, "gives_one_answer", lambda *_: False)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(4):
        (photos / f"secret-{number}.png").write_bytes(SAMPLE_PHOTOS[number].read())
    given = ["--photos", str(photos), "--resize", "72", "--crop", "64", "--no-photos"]
    assert main([*own_model, *given]) == 0
    manifest = verify(tmp_path / "own").manifest
    assert (manifest.name, manifest.version) == ("own-model", "2.1")
    assert manifest.labels == ("cat", "neko 猫", "kucing")
    assert manifest.preprocessing == PreprocessingSettings(72, 64, "bilinear")
    assert manifest.architecture.mean == pytest.approx((123.675, 116.28, 103.53))
    words = capsys.readouterr().out
    assert "Assumed: mean 0.485,0.456,0.406, std 0.229,0.224,0.225, interpolation bilinear" in words
    assert "softmax (from torchvision's newest weights). Give --answers to compare" in words
    samples = {Path(photo.file).name for photo in SAMPLE_PHOTOS}
    assert {path.name for path in (tmp_path / "own" / "golden").iterdir()} == samples
    assert manifest.held_against.startswith("not compared with answers of your own code")
    # An older version is kept, unless it is to be replaced.
    assert main(own_model) == 1
    assert "holds an artifact already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--architecture", "resnet51", "--architecture resnet51: expected efficientnet_lite0 or"),
        ("--architecture", "resnet18", "(and 99 more); found, but not part of it: classif"),
        ("--weights", "no-such-file", "--weights no-such-file: expected a safetensors file"),
        ("--weights", __file__, "expected a safetensors file of the model's state_dict"),
        ("--labels", "no-such-file", "--labels no-such-file: expected a UTF-8 text file"),
        ("--photos", "service", "folders, which are not searched"),
        ("--crop", "300", "crop: expected 16 to the length of resize (256), found 300"),
        ("--std", "0,1,1", "std: expected values above 0"),
        ("--arguments", "num_classes=4", "--arguments: num_classes is the number of labels"),
        ("--answers", "answers.csv", "--answers needs --photos"),
        ("--activation", "none", "--activation none: expected outputs that are probabilities"),
    ],
)  # fmt: skip
def test_own_model_that_does_not_fit(
    own_model: list[str], option: str, value: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*own_model, option, value]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_label_too_many_is_counted(
    own_model: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.txt").write_text("cat\ndog\nbird\nfish\n")
    assert main(own_model) == 1
    assert "the weights give 3 classes, --labels names 4" in capsys.readouterr().err


def test_nan_in_weights_is_named(
    own_model: list[str],
    weights: dict[str, torch.Tensor],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = weights["classifier.3.bias"].clone()
    broken[1] = float("nan")
    save_file({**weights, "classifier.3.bias": broken}, tmp_path / "own.safetensors")
    assert main(own_model) == 1
    assert "found NaN or infinity in classifier.3.bias" in capsys.readouterr().err


def test_one_answer_to_all_photos_is_refused(
    own_model: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(building, "PARITY_CROPS", 14)
    assert main([*own_model, "--resize", "72", "--crop", "64"]) == 1
    assert "all 14 crops of the photos get the same answer" in capsys.readouterr().err


def test_own_photos_are_looked_at_first(
    own_model: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_photos(tmp_path / "photos")
    (folder / "broken.jpg").write_bytes(SAMPLE_PHOTOS[4].read()[:5000])
    assert main([*own_model, "--photos", str(folder)]) == 1
    assert "broken.jpg: the image is truncated" in capsys.readouterr().err


@pytest.mark.parametrize(
    "data",
    [
        "ant\ncat\n".encode("utf-8-sig"),
        b"ant\r\ncat\r\n\r\n",
        b"\tant \rcat",
        "ant\ncat".encode("utf-16"),
        b"0,ant\n1,cat",
        b"0\tant\n1\tcat\n",
    ],
)
def test_labels_of_other_systems(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(data)
    assert read_labels(path) == ["ant", "cat"]


def test_labels_with_strange_characters_and_gaps(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("a\u2028b\x0cc\n24 hours\n", "utf-8")
    assert read_labels(path) == ["a b c", "24 hours"]
    path.write_text("ant\n\ncat\n")
    with pytest.raises(OperatorError, match="found line 2 empty"):
        read_labels(path)


@pytest.mark.parametrize("key", [None, "state_dict", "model_state_dict", "model"])
def test_checkpoints_of_torch_are_read(key: str | None, tmp_path: Path) -> None:
    state = {"fc.weight": torch.ones(2, 2)}
    torch.save(state if key is None else {"epoch": 3, key: state}, tmp_path / "last.pth")
    assert list(read_weights(tmp_path / "last.pth")) == ["fc.weight"]


def test_pickles_run_no_code_and_say_what_is_expected(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pth")
    with pytest.raises(
        OperatorError, match="expected a safetensors file of the model's state"
    ) as e:
        read_weights(tmp_path / "whole.pth")
    assert str(e.value).endswith(
        "found more than tensors, torch.nn.modules.linear.Linear, which runs code when it is loaded"
    )
    torch.save({"epoch": 3, "optimizer": {}}, tmp_path / "other.pth")
    with pytest.raises(OperatorError, match="or model; found epoch, optimizer"):
        read_weights(tmp_path / "other.pth")


OWN = """
import torch
from torch import nn
from service.artifact.recipe import Preprocessing

def build_model():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(32, 3),
    )
    network[-1].weight.data *= 60
    return network, Preprocessing(resize=36, crop=32)
"""
TIMM = """
import timm, torch
from service.artifact.recipe import Preprocessing

def build_model():
    torch.manual_seed(0)
    model = timm.create_model("resnet10t", num_classes=3, in_chans=3)
    torch.nn.init.normal_(model.fc.weight, std=2)
    config = model.pretrained_cfg
    return model, Preprocessing(
        config["mean"], config["std"], resize=72, crop=64, interpolation=config["interpolation"]
    )
"""
TRANSFORMERS = """
import torch
from transformers import ViTConfig, ViTForImageClassification
from service.artifact.recipe import Preprocessing

def build_model():
    torch.manual_seed(0)
    config = ViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                       intermediate_size=64, image_size=64, patch_size=16, num_labels=3)
    model = ViTForImageClassification(config)
    torch.nn.init.normal_(model.classifier.weight, std=2)
    half = (0.5, 0.5, 0.5)
    return model, Preprocessing(half, half, resize=64, crop=64)
"""


@pytest.mark.parametrize("text", [OWN, TIMM, TRANSFORMERS], ids=["own", "timm", "transformers"])
def test_any_classifier_of_one_file(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is served equals the module with its preprocessing, run by hand."""
    monkeypatch.setattr(building, "PARITY_CROPS", 21)
    monkeypatch.setattr(parity, "gives_one_answer", lambda *_: False)  # random weights do
    path = tmp_path / "my_model.py"
    path.write_text(text)
    (tmp_path / "labels.txt").write_text("cat\ndog\nother")
    own = OwnModel(model=str(path), labels=tmp_path / "labels.txt")
    recipe = own_recipe(name="own", version="1", own=own, forms=("eager", "onnx-fp32"))
    assert recipe.forms == ["onnx-fp32"]  # eager would need an architecture of torchvision
    lines: list[str] = []
    manifest = building.build(recipe, tmp_path / "bundle", lines.append)
    model, settings = load_model_file(str(path))
    photo = preprocess(SAMPLE_PHOTOS[0].read(), manifest.preprocessing)
    mean, std = (torch.tensor(part) for part in (settings.mean, settings.std))
    with torch.inference_mode():
        image = (torch.from_numpy(photo) / 255 - mean) / std
        found = model(image.permute(2, 0, 1)[None].float())
        expected = getattr(found, "logits", found).softmax(dim=1).numpy()
    form = FORMS["onnx-fp32"]
    engine = load_engine(form, tmp_path / "bundle" / form.file, "cpu", threads=1)
    assert abs(engine(photo[None]) - expected).max() < 1e-4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "expected a function build_model(), found none"),
        ("def build_model(): return 1", "to return (nn.Module, Preprocessing), found int"),
        ("def build_model(): return 1 / 0", "build_model() raised ZeroDivisionError: division"),
        ("import no_such_package", "raised ModuleNotFoundError: No module named"),
        (OWN.replace("Linear(32, 3)", "Linear(32, 4)"), "each of the model's 4 outputs, found 3"),
        (OWN.replace("Linear(32, 3)", "Linear(31, 3)"), "does not take an image of 32 × 32"),
        (OWN.replace("*= 60", "*= torch.nan"), "found NaN or infinity in 4.weight"),
        (OWN.replace("nn.Linear(32, 3),", "nn.Linear(32, 3), nn.Softmax(1)").replace(
            "network[-1]", "network[-2]"), "are probabilities already: give --activation none"),
    ],
)  # fmt: skip
def test_files_that_give_no_model(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "my_model.py"
    path.write_text(text)
    (tmp_path / "labels.txt").write_text("cat\ndog\nother")
    labels, output = str(tmp_path / "labels.txt"), str(tmp_path / "bundle")
    assert main(["build", "--model", str(path), "--labels", labels, "--output", output]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_one_output_needs_a_sigmoid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The softmax of one output is always 1."""
    monkeypatch.setattr(building, "PARITY_CROPS", 21)
    path = tmp_path / "my_model.py"
    path.write_text(OWN.replace("Linear(32, 3)", "Linear(32, 1)"))
    (tmp_path / "labels.txt").write_text("defect\n")
    own = OwnModel(model=str(path), labels=tmp_path / "labels.txt")
    with pytest.raises(OperatorError, match="give --activation sigmoid"):
        own_recipe(name="own", version="1", own=own)
    own = OwnModel(
        model=str(path), labels=tmp_path / "labels.txt", changes={"activation": "sigmoid"}
    )
    recipe = own_recipe(name="own", version="1", own=own, forms=["torchscript"])
    manifest = building.build(recipe, tmp_path / "bundle", lambda _: None)
    answers = [answer[0] for answer in manifest.forms["torchscript"].golden.values()]  # of class 0
    assert 0 <= min(answers) < 0.5 < max(answers) <= 1
    assert "by itself" in manifest.output.meaning


def test_means_are_of_the_unit_interval_or_of_bytes() -> None:
    unit = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)).scale_to_pixels()
    assert unit == Preprocessing((127.5,) * 3, (127.5,) * 3).scale_to_pixels()
    assert json.dumps(unit) == "[[127.5, 127.5, 127.5], [127.5, 127.5, 127.5]]"


def test_seeded_weights_repeat_and_tell_classes_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """torchvision initialises the classifier of a ViT with zeros."""

    def create(_: str, classes: int, __: object = None) -> torch.nn.Module:
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
