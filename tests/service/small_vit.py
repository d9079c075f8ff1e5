"""A vision transformer for tests: small, with all operators of ViT-L/16."""

from pathlib import Path

import numpy as np
import torch
from torchvision.models import VisionTransformer

from service.artifact.bfloat16 import export_bfloat16
from service.engines.base import PixelBatch
from service.model_definition import ServingModel

SIDE, CLASSES = 32, 10


def small_vit() -> ServingModel:
    torch.manual_seed(1)  # with any torch, no two classes are nearly as probable
    model = VisionTransformer(SIDE, 16, 2, 2, 32, 64, num_classes=CLASSES)
    torch.nn.init.normal_(model.heads.head.weight, std=0.4)
    return ServingModel(model, (123, 116, 103), (58, 57, 57))


def random_pixels(count: int) -> PixelBatch:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def write_program(folder: Path) -> Path:
    path = folder / "model.bf16.pt2"
    path.write_bytes(export_bfloat16(small_vit(), random_pixels(2)))
    return path
