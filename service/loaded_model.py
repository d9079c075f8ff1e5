"""A model that came through the start: what answers requests, and how it came up."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from service.artifact.manifest import Manifest
from service.artifact.verify import Bundle
from service.engines.base import Form
from service.inference_runner import Inference, InferenceRunner
from service.preprocessing import Pixels, preprocess
from service.responses import Model


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A verified model, warm and ready."""

    bundle: Bundle
    form: Form
    runner: InferenceRunner
    decoders: ThreadPoolExecutor
    """Threads that preprocess: Pillow lets go of the GIL while it decodes."""
    max_pixels: int
    threads: int
    environment_differences: list[str]
    startup_ms: dict[str, float]
    """Of each step of the start."""

    @property
    def manifest(self) -> Manifest:
        """The bundle's."""
        return self.bundle.manifest

    @property
    def name(self) -> Model:
        """Name and version, as they stand in every answer."""
        return Model(name=self.manifest.name, version=self.manifest.version)

    async def preprocess(self, image: bytes) -> tuple[Pixels, float]:
        """An image file's bytes to pixels, without blocking the event loop.

        Returns:
            uint8 height × width × 3, and the milliseconds it took, waiting for a thread included.

        Raises:
            ImageError: as `preprocessing.preprocess`.
        """
        started = time.perf_counter()
        pixels = await asyncio.get_running_loop().run_in_executor(
            self.decoders, self._preprocess, image
        )
        return pixels, (time.perf_counter() - started) * 1000

    async def predict(self, pixels: Pixels) -> Inference:
        """Pixels, uint8 height × width × 3, to probabilities; see `InferenceRunner.predict`."""
        return await self.runner.predict(pixels)

    def close(self) -> None:
        """Finish what is under way and let go of threads and device."""
        self.decoders.shutdown()
        self.runner.close()

    def _preprocess(self, image: bytes) -> Pixels:
        return preprocess(image, self.manifest.preprocessing, max_pixels=self.max_pixels)
