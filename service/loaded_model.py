"""A model that came through the start: what answers requests, and the steps of its start."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from service.artifact.manifest import Manifest
from service.artifact.verify import Bundle
from service.engines.base import Form
from service.inference_runner import InferenceRunner
from service.runner.jobs import Counters
from service.runner.plan import Plan

log = logging.getLogger("service")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a start that is done. The log line is rendered from it."""

    name: str
    """"verify", "match", "load", "warm-up", "replay" or "ready"."""
    text: str
    """What was done, for the operator."""
    ms: float
    """How long it took; for "ready", the time since the process started."""
    url: str | None = None
    """Where the service listens, once it is ready."""

    def log(self) -> None:
        """Write the step's line; the record carries this step as its attribute `step`."""
        took = f"{self.ms:.0f} ms"
        if self.url is not None:
            took = f"{self.ms / 1000:.2f} s after the process started"
        log.info("%-8s %s · %s", self.name, self.text, took, extra={"step": self})


@dataclass(frozen=True, slots=True)
class Shared:
    """What a front end knows of the whole service."""

    counters: Callable[[], Counters]
    """Sums the counters of all front ends."""
    owner: int
    """Process id of the device's owner."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A verified model, warm and ready."""

    bundle: Bundle
    form: Form
    plan: Plan
    runner: InferenceRunner
    environment_differences: list[str]
    steps: list[Step]
    shared: Shared | None = None
    """Set where several processes serve the model together."""

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""
        return self.bundle.manifest

    @property
    def counters(self) -> Counters:
        """What became of the requests to all processes together."""
        return self.runner.counters if self.shared is None else self.shared.counters()

    def check_health(self) -> str | None:
        """Return why this process cannot answer any more, or None. Cheap; asked each second."""
        device = self.plan.check_health
        return (device() if device is not None else None) or self.runner.check_health()

    def close(self) -> None:
        """Finish what is under way, then release threads and device."""
        self.runner.close()
