"""Build the bundle to measure, once: an architecture with seeded weights."""

from pathlib import Path

import torch
from torchvision.models import VisionTransformer

from service.artifact import build, compiled
from service.artifact.manifest import Architecture
from service.artifact.recipe import (
    OwnModel,
    Recipe,
    default_photos,
    default_recipe,
    describe_seed,
    own_recipe,
    seeded_labels,
)
from service.preprocessing import PreprocessingSettings
from service.settings import ROOT

SMALL, LITE0 = "small-vit", "lite0"
FORM = "bf16"
_FOLDER = ROOT / "artifacts"
_SMALL_SIDE, _SMALL_CLASSES = 64, 100


def build_bundle(architecture: str, device: str, weights: str, labels: Path | None) -> Path:
    """Build the bundle, unless it exists, and compile it for the device."""
    folder = _FOLDER / f"bench-gpu-{architecture}"
    if (folder / "manifest.json").exists():
        return folder
    build.build(_recipe(architecture, weights, labels), folder)
    if architecture != SMALL:  # compiling takes longer than all of a short run
        compiled.compile_bundle(folder, device)
    return folder


def _recipe(architecture: str, weights: str, labels: Path | None) -> Recipe:
    if architecture == SMALL:
        return _small_recipe()
    if architecture == LITE0:
        return default_recipe((FORM,))
    return own_recipe(
        name=architecture.replace("_", "-"),
        version="1.0.0",
        own=OwnModel(architecture=architecture, weights=Path(weights), labels=labels),
        forms=(FORM,),
    )


def _small_recipe() -> Recipe:
    torch.manual_seed(0)
    model = VisionTransformer(_SMALL_SIDE, 16, 2, 4, 64, 128, num_classes=_SMALL_CLASSES)
    torch.nn.init.normal_(model.heads.head.weight, std=0.4)
    return Recipe(
        name=SMALL,
        version="1.0.0",
        architecture=Architecture(
            name=SMALL,
            source=describe_seed(0),
            licence="none needed",
            mean=(123, 116, 103),
            std=(58, 57, 57),
        ),
        model=model,
        labels=seeded_labels(_SMALL_CLASSES),
        preprocessing=PreprocessingSettings(resize=72, crop=_SMALL_SIDE),
        photos=default_photos(),
        forms=(FORM,),
        keeps_weights=False,
    )
