"""The model code of the peers: the same program and preprocessing as the service."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from service.artifact.manifest import Manifest
from service.engines.base import PixelBatch, Probabilities
from service.gpu.compilation import Choice, Method, prepare
from service.gpu.streams import open_devices
from service.preprocessing import Pixels, preprocess

BUNDLE = Path(os.environ["BENCH_BUNDLE"])
DEVICE = os.environ["BENCH_DEVICE"]
TOP = 5


class GpuClassifier:
    """Runs one program on the first GPU, as in torch's tutorials."""

    def __init__(self, most: int) -> None:
        self._manifest = Manifest.model_validate_json((BUNDLE / "manifest.json").read_bytes())
        (device, *_) = open_devices(DEVICE)
        method: Method = "program" if DEVICE == "cpu" else "torch.compile"
        program = BUNDLE / self._manifest.forms["bf16"].file
        prepared = prepare(program, device, Choice(method, "a peer's"))
        self._program, self._device = prepared.program, device.torch_name
        size = 1
        while size <= most:
            self.infer(np.zeros((size, *prepared.image_shape), np.uint8))
            size *= 2

    def decode(self, data: bytes) -> Pixels:
        """Preprocess a file as the service does."""
        return preprocess(data, self._manifest.preprocessing)

    def infer(self, pixels: PixelBatch) -> Probabilities:
        """Classify uint8 N × H × W × 3; returns float32 N × classes."""
        with torch.inference_mode():
            answers = self._program(torch.from_numpy(pixels).to(self._device))
            return answers.cpu().numpy()

    def answer(self, probabilities: Probabilities) -> dict[str, Any]:
        """Return the most probable classes of one image, the best first."""
        best = np.argsort(-probabilities)[:TOP]
        return {
            "predictions": [
                {
                    "class_id": int(one),
                    "label": self._manifest.labels[one],
                    "probability": float(probabilities[one]),
                }
                for one in best
            ]
        }
