"""A model that came through the start: what answers requests, and how it came up."""

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client.registry import Collector

from service.artifact.manifest import Manifest
from service.artifact.verify import Bundle
from service.engines.base import Form
from service.inference_runner import InferenceRunner
from service.runner.counters import Counters
from service.web.responses import Model


@dataclass(frozen=True, slots=True)
class Shared:
    """What a front end knows of the whole service."""

    counters: Callable[[], Counters]
    """Of all front ends."""
    owner: int
    """Process id of the device's owner."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A verified model, warm and ready."""

    bundle: Bundle
    form: Form
    runner: InferenceRunner
    threads: int
    """Of one forward pass; how many run at once is the runner's layout."""
    environment_differences: list[str]
    startup_ms: dict[str, float]
    """Of each step of the start."""
    gpu_metrics: Collector | None = None
    """Of an engine that has some."""
    shared: Shared | None = None
    """Where several processes serve it together."""

    @property
    def manifest(self) -> Manifest:
        """The bundle's."""
        return self.bundle.manifest

    @property
    def counters(self) -> Counters:
        """What became of the requests, to all processes together."""
        return self.runner.counters if self.shared is None else self.shared.counters()

    @property
    def name(self) -> Model:
        """Name and version, as they stand in every answer."""
        return Model(name=self.manifest.name, version=self.manifest.version)

    def close(self) -> None:
        """Finish what is under way and let go of threads and device."""
        self.runner.close()
