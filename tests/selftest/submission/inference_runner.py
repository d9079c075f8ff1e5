"""The one owner of the model: a photo a core, from its bytes to its answer."""

import asyncio
import ctypes
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from preprocessing import CROP, preprocess

TOP = 5
M_MMAP_THRESHOLD = -3  # of malloc.h


def read_verified(artifact: Path) -> dict[str, bytes]:
    """Read each file of the artifact once; ValueError: its hash is not the one recorded."""
    files = {}
    for name, digest in json.loads((artifact / "manifest.json").read_bytes())["sha256"].items():
        files[name] = (artifact / name).read_bytes()
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise ValueError(f"{name} was changed: its SHA-256 is not that of the manifest")
    return files


def load_session(model: bytes) -> onnxruntime.InferenceSession:
    """The ONNX file's bytes to a session that runs on the thread that calls it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class InferenceRunner:
    """Loads the model once; then classifies for any number of concurrent callers."""

    def __init__(self, artifact: Path):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 17)  # what was freed goes back at once
        files = read_verified(artifact)
        self.labels = files["labels.txt"].decode("utf-8").splitlines()
        self.session = load_session(files["model.onnx"])
        # On Linux each thread has a niceness of its own: the event loop goes first.
        self.workers = ThreadPoolExecutor(os.cpu_count(), initializer=os.nice, initargs=(10,))
        self.forward(np.zeros((CROP, CROP, 3), np.uint8))  # first-time work

    async def classify(self, data: bytes) -> list[dict]:
        """The five most probable classes of one image file. ValueError: it is no image."""
        loop = asyncio.get_running_loop()
        return self.best(await loop.run_in_executor(self.workers, self.work, data))

    def work(self, data: bytes) -> np.ndarray:
        """An image file to the probabilities of all classes, in a thread."""
        return self.forward(preprocess(data))

    def forward(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels, uint8 224 × 224 × 3, to probabilities, float32 classes."""
        return self.session.run(None, {"pixels": pixels[np.newaxis]})[0][0]

    def best(self, row: np.ndarray) -> list[dict]:
        """The most probable classes, the first first."""
        top = np.argpartition(-row, TOP)[:TOP]
        return [
            {"class_id": int(one), "label": self.labels[one], "probability": float(row[one])}
            for one in top[np.argsort(-row[top])]
        ]
