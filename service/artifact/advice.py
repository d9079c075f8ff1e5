"""Find out why a model does not answer as the engineer's code does: try what is often forgotten."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from torch import nn

from service.artifact.answers import Answers, Difference, compare
from service.artifact.manifest import Architecture
from service.artifact.recipe import Recipe
from service.engines.torch_module import TorchEngine
from service.model_definition import ServingModel
from service.preprocessing import PreprocessingSettings, preprocess

_TRANSFORM = "transform_input"
PHOTOS = 4
"""Answers that each alternative is tried with."""
_NORMALISATIONS = (
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
)
"""ImageNet's, TensorFlow's, the unit interval, pixels from 0 to 255."""
_ENLARGEMENTS = (1, 1 / 0.95, 1 / 0.9, 1 / 0.875)
_RESIZES = (232, 256)


def find_advice(
    recipe: Recipe, answers: Answers, settings: PreprocessingSettings, found: Difference
) -> str:
    """Return what to change, in a sentence, if one change brings the engineer's answers.

    Args:
        recipe: the model as it was built.
        answers: of the engineer.
        settings: those with which the answers differ.
        found: how they differ.
    """
    few = answers.take(PHOTOS)
    exclusive = recipe.architecture.activation != "sigmoid"
    best, words = found.size, ""
    for option, model, architecture, other in _list_alternatives(recipe, settings):
        serving = ServingModel(
            model, architecture.mean, architecture.std, architecture.activation,
            architecture.colour_order,
        )  # fmt: skip
        engine = TorchEngine(serving, "cpu")
        rows = [engine(preprocess(photo.read_bytes(), other)[None]) for photo in few.photos]
        difference = compare(few, np.concatenate(rows), exclusive)
        if difference.is_none and difference.size < best:
            best, words = difference.size, option
    if words:
        return f"With {words} it does: give that if you trained so"
    return (
        "No other builder argument, normalisation, colour order, filter or size that is often used "
        f"brings them either. Used: {describe(recipe)}. Compare it with your code"
    )


def describe(recipe: Recipe) -> str:
    """Return what the build does with an image, on one line."""
    about, settings = recipe.architecture, recipe.preprocessing
    mean, std = (",".join(f"{value:.5g}" for value in part) for part in (about.mean, about.std))
    arguments = "".join(f", {name}={value}" for name, value in about.arguments.items())
    return (
        f"mean {mean} and std {std} for pixels from 0 to 255, resize {settings.resize} "
        f"({settings.interpolation}), crop {settings.crop}, {about.colour_order}, "
        f"{about.activation}{arguments}"
    )


def _list_alternatives(
    recipe: Recipe, settings: PreprocessingSettings
) -> Iterator[tuple[str, nn.Module, Architecture, PreprocessingSettings]]:
    """Yield each single change as an option of the command line, with what it gives."""
    model, about = recipe.model, recipe.architecture
    if hasattr(model, _TRANSFORM):
        value = bool(getattr(model, _TRANSFORM))
        try:
            setattr(model, _TRANSFORM, not value)
            yield f"--arguments {_TRANSFORM}={str(not value).lower()}", model, about, settings
        finally:
            setattr(model, _TRANSFORM, value)
    other_order = "BGR" if about.colour_order == "RGB" else "RGB"
    order = {"colour_order": other_order}
    yield f"--colour-order {other_order}", model, about.model_copy(update=order), settings
    if about.mean[::-1] != about.mean:
        mirrored = {"mean": about.mean[::-1], "std": about.std[::-1]}
        words = " ".join(
            f"--{name} {','.join(f'{value / 255:.3g}' for value in part)}"
            for name, part in mirrored.items()
        )
        yield (
            f"--colour-order {other_order} {words}",
            model,
            about.model_copy(update={**order, **mirrored}),
            settings,
        )
    for means, deviations in _NORMALISATIONS:
        scaled = {
            "mean": tuple(255 * value for value in means),
            "std": tuple(255 * value for value in deviations),
        }
        mean, std = (",".join(f"{value:.3g}" for value in part) for part in (means, deviations))
        yield (f"--mean {mean} --std {std}", model, about.model_copy(update=scaled), settings)
    for activation in ("softmax", "sigmoid"):
        yield (
            f"--activation {activation}",
            model,
            about.model_copy(update={"activation": activation}),
            settings,
        )
    other_filter = "bicubic" if settings.interpolation == "bilinear" else "bilinear"
    yield (
        f"--interpolation {other_filter}",
        model,
        about,
        replace(settings, interpolation="bicubic" if other_filter == "bicubic" else "bilinear"),
    )
    sizes = {round(settings.crop * factor) for factor in _ENLARGEMENTS} | set(_RESIZES)
    for resize in sorted(size for size in sizes if size >= settings.crop):
        yield f"--resize {resize}", model, about, replace(settings, resize=resize)
