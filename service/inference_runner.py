"""Inference runner: the one owner of the device.

Every forward pass runs on one thread of its own, whatever the number of requests: an engine is
never called twice at once, its threads never compete with those of a second call, and the event
loop never waits for arithmetic.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from service.engines.base import Engine, PixelBatch, Probabilities
from service.preprocessing import Pixels


@dataclass(frozen=True, slots=True)
class Inference:
    """The answer for one image, and where its time went."""

    probabilities: Probabilities
    """float32, classes."""
    timing_ms: dict[str, float]
    """"queue": waiting for the device; "forward": on it."""


class InferenceRunner:
    """Runs one engine, for as many concurrent callers as there are."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._device_thread = ThreadPoolExecutor(1, thread_name_prefix="device")

    def warm_up(self, shape: tuple[int, int, int], batches: int = 3) -> list[float]:
        """Run batches of one blank image, so that no user pays for first-time work.

        Args:
            shape: height, width, 3.
            batches: how many.

        Returns:
            Milliseconds of each batch, in order.
        """
        blank = np.zeros((1, *shape), dtype=np.uint8)
        return [self._device_thread.submit(self._timed, blank).result()[2] for _ in range(batches)]

    def run_batch(self, pixels: PixelBatch) -> Probabilities:
        """Classify a batch: uint8 N × H × W × 3 to float32 N × classes. Blocks."""
        return self._device_thread.submit(self.engine, pixels).result()

    async def predict(self, pixels: Pixels) -> Inference:
        """Classify one image, uint8 H × W × 3, without blocking the event loop."""
        submitted = time.perf_counter()
        loop = asyncio.get_running_loop()
        probabilities, started, forward_ms = await loop.run_in_executor(
            self._device_thread, self._timed, pixels[np.newaxis]
        )
        queue_ms = (started - submitted) * 1000
        return Inference(probabilities[0], {"queue": queue_ms, "forward": forward_ms})

    def close(self) -> None:
        """Wait for the batch under way, and let go of the device."""
        self._device_thread.shutdown()

    def _timed(self, pixels: PixelBatch) -> tuple[Probabilities, float, float]:
        """The engine's answer, when it was asked (perf_counter, s), how long it took (ms)."""
        started = time.perf_counter()
        probabilities = self.engine(pixels)
        return probabilities, started, (time.perf_counter() - started) * 1000
