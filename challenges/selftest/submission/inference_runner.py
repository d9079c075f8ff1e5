"""The one owner of the model: images are decoded side by side, then run in batches."""

import asyncio
import ctypes
import hashlib
import json
import os
import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from preprocessing import CROP, preprocess

MAX_BATCH, TOP = 4, 5
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
    """The ONNX file's bytes to a session that gives back memory, and whose threads sleep."""
    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class InferenceRunner:
    """Loads the model once; then classifies for any number of concurrent callers."""

    def __init__(self, artifact: Path):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 17)  # what was freed goes back at once
        files = read_verified(artifact)
        self.labels = files["labels.txt"].decode("utf-8").splitlines()
        self.session = load_session(files["model.onnx"])
        self.decoders = ThreadPoolExecutor(os.cpu_count())
        self.waiting: queue.SimpleQueue[tuple[np.ndarray, Future]] = queue.SimpleQueue()
        self.forward([np.zeros((CROP, CROP, 3), np.uint8)] * MAX_BATCH)  # first-time work
        threading.Thread(target=self.work, daemon=True).start()

    async def classify(self, data: bytes) -> list[dict]:
        """The five most probable classes of one image file. ValueError: it is no image."""
        loop = asyncio.get_running_loop()
        pixels = await loop.run_in_executor(self.decoders, preprocess, data)
        answer: Future[np.ndarray] = Future()
        self.waiting.put((pixels, answer))
        return self.best(await asyncio.wrap_future(answer))

    def work(self) -> None:
        """Run what waits as one batch, again and again; an idle model never waits for more."""
        while True:
            batch = [self.waiting.get()]
            while len(batch) < MAX_BATCH and not self.waiting.empty():
                batch.append(self.waiting.get())
            rows = self.forward([pixels for pixels, _ in batch])
            for (_, answer), row in zip(batch, rows, strict=True):
                if answer.set_running_or_notify_cancel():  # False: the client left
                    answer.set_result(row)

    def forward(self, images: list[np.ndarray]) -> np.ndarray:
        """Images, uint8 224 × 224 × 3 each, to probabilities, float32 N × classes."""
        return self.session.run(None, {"pixels": np.stack(images)})[0]

    def best(self, row: np.ndarray) -> list[dict]:
        """The most probable classes, the first first."""
        top = np.argpartition(-row, TOP)[:TOP]
        return [
            {"class_id": int(one), "label": self.labels[one], "probability": float(row[one])}
            for one in top[np.argsort(-row[top])]
        ]
