"""The model code that every peer shares: decode a photo, classify a batch, write the answer.

Runs in the peers' own environments, which have NumPy, Pillow and ONNX Runtime but not this
project's dependencies; PYTHONPATH is the repository's root.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from service.engines.base import PixelBatch, Probabilities
from service.engines.onnx_runtime import adds_int8_products_exactly
from service.preprocessing import Pixels, preprocess

ROOT = Path(__file__).resolve().parents[3]
MODEL = Path(os.environ.get("BENCH_MODEL", ROOT / "artifacts" / "default" / "model.onnx"))
TOP = 5


class Classifier:
    """One session on the ONNX file that BENCH_MODEL names."""

    def __init__(self, threads: int) -> None:
        self._labels: list[str] = json.loads((MODEL.parent / "manifest.json").read_bytes())[
            "labels"
        ]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning threads would take the cores from the other worker.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if not adds_int8_products_exactly():  # as the service does, for the same answers
            options.add_session_config_entry("session.x64quantprecision", "1")
        self._session = onnxruntime.InferenceSession(
            MODEL, options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def decode(self, data: bytes) -> Pixels:
        """The service's preprocessing: the bytes of an image file to uint8 224 × 224 × 3."""
        return preprocess(data)

    def infer(self, pixels: PixelBatch) -> Probabilities:
        """Classify uint8 N × 224 × 224 × 3; float32 N × 1000."""
        (probabilities,) = self._session.run(None, {self._input: pixels})
        return probabilities  # type: ignore[no-any-return]

    def answer(self, probabilities: Probabilities) -> dict[str, Any]:
        """The most probable classes of one image, the first first."""
        return {
            "predictions": [
                {
                    "class_id": int(one),
                    "label": self._labels[one],
                    "probability": float(probabilities[one]),
                }
                for one in np.argsort(-probabilities)[:TOP]
            ]
        }

    def classify(self, data: bytes) -> dict[str, Any]:
        """All three steps for one photo."""
        return self.answer(self.infer(self.decode(data)[None])[0])
