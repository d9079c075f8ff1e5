"""Engines without a model: they answer each image's first byte, and note how they were called."""

import threading
import time

import numpy as np

from service.engines.base import Images, PixelBatch, Probabilities, stack


class CountingEngine:
    """Answers each image's first byte, slowly, and notes who called it and how often at once."""

    runtime = "none"
    device = "cpu"

    def __init__(self, seconds: float = 0.002) -> None:
        self.seconds = seconds
        self.threads: set[str] = set()
        self.batches: list[list[int]] = []
        self.most_at_once = 0
        self._running = 0
        self._lock = threading.Lock()

    def __call__(self, images: Images) -> Probabilities:
        pixels = stack(images)
        with self._lock:
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
            self.threads.add(threading.current_thread().name)
            self.batches.append(pixels[:, 0, 0, 0].tolist())
        self.work(pixels)
        with self._lock:
            self._running -= 1
        return pixels[:, 0, 0, :1].astype(np.float32)

    def work(self, pixels: PixelBatch) -> None:
        time.sleep(self.seconds)


class GatedEngine(CountingEngine):
    """Works only while its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def work(self, pixels: PixelBatch) -> None:
        assert self.gate.wait(timeout=30), "the gate never opened"


class PoisonedEngine(CountingEngine):
    """Fails on any batch with a 13 in it, and answers NaN for a 14."""

    def __call__(self, images: Images) -> Probabilities:
        probabilities = super().__call__(images)
        if 13 in stack(images)[:, 0, 0, 0]:
            raise RuntimeError("out of memory")
        probabilities[probabilities == 14] = np.nan
        return probabilities


def one_byte(data: bytes) -> PixelBatch:
    """Preprocessing for these engines: the file's first byte is every pixel's value."""
    if data == b"damaged":
        raise ValueError("damaged")
    return np.full((4, 4, 3), data[0], np.uint8)
