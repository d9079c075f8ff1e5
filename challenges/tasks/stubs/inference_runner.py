"""The one owner of the model: a queue, and worker threads that take one image each from it.

`Model` is given: it loads the artifact, and has one function from an image file to predictions.
You write `InferenceRunner`, which calls that function for many callers at once.

An example of a queue and a thread first: `Notes`.
"""

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


class Notes:
    """An example: `write` returns at once, and one thread writes the lines to a file, in order."""

    def __init__(self, path: Path):
        self.path = path
        self.waiting: queue.Queue = queue.Queue()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def write(self, line: str) -> Future:
        """Its future is done when the line is written: `.result()` waits for that."""
        done: Future = Future()
        self.waiting.put((line, done))
        return done

    def run(self) -> None:
        """The thread's life. `get` waits until there is something; None means: the end."""
        while (job := self.waiting.get()) is not None:
            line, done = job
            try:
                with self.path.open("a") as file:
                    done.set_result(file.write(line + "\n"))
            except Exception as error:
                done.set_exception(error)

    def close(self) -> None:
        """Behind all lines comes None. Then wait until the thread has met it."""
        self.waiting.put(None)
        self.thread.join()


# task: runner
class InferenceRunner:
    """Hands work to a few threads, in the order in which it came.

    So far it computes on the event loop: while one photo is computed, nobody else is served.
    """

    def __init__(self, work: Callable[[bytes], Predictions], threads: int = THREADS):
        """Keep `work`; make a queue for at most MOST_WAITING jobs; start so many threads.

        With `daemon=True` a thread does not keep the process alive.
        """
        self.work = work

    async def classify(self, data: bytes) -> Predictions:
        """What `work` makes of the data. Raises what it raises, or BusyError: too many wait.

        Put the data and a new Future into the queue, but never wait there: `put_nowait` raises
        queue.Full. Then wait for the answer without holding the event loop up:
        `await asyncio.wrap_future(answer)`.
        """
        return self.work(data)

    def run(self) -> None:
        """Each thread's life: take the next job, work, hand the answer over.

        A bad image fails alone: its error goes to its caller, and the thread lives on. Where
        `answer.set_running_or_notify_cancel()` is False, the client has left: skip the job.

        Begin with `os.nice(10)`: on Linux this thread alone then gives way to the event loop.
        """

    def close(self) -> None:
        """Let the threads finish what waits, and end them: each needs a None of its own."""
