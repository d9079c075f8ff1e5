"""A network that is small enough to be exported in every form in seconds."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from service.artifact.exporters import Source
from service.artifact.manifest import Architecture
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.engines.base import PixelBatch
from service.model_definition import ServingModel

SIDE, CLASSES = 16, 8


def random_images(count: int) -> PixelBatch:
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def write_photos(folder: Path) -> Path:
    """Copy the sample photos into a folder, as an engineer hands them over."""
    folder.mkdir()
    for photo in SAMPLE_PHOTOS:
        (folder / Path(photo.file).name).write_bytes(photo.read())
    return folder


@pytest.fixture(scope="package")
def source() -> Source:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU6(),
        nn.Conv2d(8, 8, 3, groups=8), nn.ReLU6(),
        nn.Conv2d(8, 16, 1), nn.ReLU6(),
        nn.Conv2d(16, 16, 3, groups=16), nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CLASSES),
    )  # fmt: skip
    architecture = Architecture(
        name="small", source="", licence="", mean=(127, 127, 127), std=(128, 128, 128)
    )
    images = random_images(20)
    return Source(
        ServingModel(network, architecture.mean, architecture.std),
        architecture,
        CLASSES,
        images[:2],
        lambda: images,
    )
