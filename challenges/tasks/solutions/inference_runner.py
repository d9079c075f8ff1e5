"""The one owner of the model: a queue, and worker threads that take one image each from it."""

import asyncio
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import onnxruntime
from manifest import verify
from preprocessing import CROP, preprocess

THREADS = 2
MOST_WAITING = 64
Predictions = list[dict]


class BusyError(Exception):
    """The queue is full."""


def load_session(path: Path) -> onnxruntime.InferenceSession:
    """A session that computes on the thread that calls it, and on no other."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class Model:
    """The artifact, loaded: image file in, predictions out. Threads may share it."""

    def __init__(self, artifact: Path):
        verify(artifact)
        self.labels = (artifact / "labels.txt").read_text("utf-8").splitlines()
        self.features = load_session(artifact / "features.onnx")
        self.classifier = load_session(artifact / "classifier.onnx")
        self.best(np.zeros((CROP, CROP, 3), np.uint8))  # warm-up: first-time work

    def classify(self, data: bytes) -> Predictions:
        """The five most probable classes, the best first. ValueError: the bytes are no image."""
        return self.best(preprocess(data))

    def best(self, pixels: np.ndarray) -> Predictions:
        """The same for pixels, uint8 224 × 224 × 3."""
        (features,) = self.features.run(None, {"pixels": pixels[np.newaxis]})
        ids, probabilities = self.classifier.run(None, {"features": features})
        return [
            {"class_id": one, "label": self.labels[one], "probability": probability}
            for one, probability in zip(ids[0].tolist(), probabilities[0].tolist(), strict=True)
        ]


# task: runner
class InferenceRunner:
    """Hands work to a few threads, in the order in which it came."""

    def __init__(self, work: Callable[[bytes], Predictions], threads: int = THREADS):
        self.work = work
        self.waiting: queue.Queue = queue.Queue(MOST_WAITING)
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    async def classify(self, data: bytes) -> Predictions:
        """What `work` makes of the data. Raises what it raises, or BusyError: too many wait."""
        answer: Future = Future()
        try:
            self.waiting.put_nowait((data, answer))
        except queue.Full:
            raise BusyError("too many requests wait; try again in a second") from None
        return await asyncio.wrap_future(answer)

    def run(self) -> None:
        """Each thread's life: take the next job, work, hand the answer over."""
        os.nice(10)  # on Linux this thread alone gives way: to the event loop
        while (job := self.waiting.get()) is not None:
            data, answer = job
            if not answer.set_running_or_notify_cancel():
                continue  # the client has left
            try:
                answer.set_result(self.work(data))
            except Exception as error:  # a bad image fails alone; the thread lives on
                answer.set_exception(error)

    def close(self) -> None:
        """Let the threads finish what waits, and end them."""
        for _ in self.threads:
            self.waiting.put(None)
        for thread in self.threads:
            thread.join()
