"""GPU metrics for Prometheus: memory, utilisation, time on the device by batch size.

Memory and utilisation come from NVML, the library behind nvidia-smi, by NVIDIA's own bindings
(nvidia-ml-py). Where they are missing the rest is still reported.
"""

import importlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from service.gpu.engine import DeviceEngine


@dataclass(frozen=True, slots=True)
class GpuUsage:
    """One GPU at the moment."""

    name: str
    """As torch calls it: "cuda:0"."""
    used_bytes: int
    """By all processes."""
    total_bytes: int
    utilisation: float
    """Share of the last moments (up to a second) in which a kernel ran, 0–1."""


class UsageSource(Protocol):
    """Where the usage is read."""

    def read(self) -> list[GpuUsage]:
        """Of every GPU that is used."""
        ...


class Nvml:
    """Reads NVML. A GPU is found by its UUID: NVML counts those too that torch does not see."""

    def __init__(self, uuids: Mapping[str, str], library: Any = None) -> None:
        """Open it.

        Args:
            uuids: of each GPU by its torch name: "GPU-8f3c…".
            library: module pynvml, imported if not given.
        """
        self._library = library if library is not None else importlib.import_module("pynvml")
        self._library.nvmlInit()
        self._handles = {
            name: self._library.nvmlDeviceGetHandleByUUID(uuid) for name, uuid in uuids.items()
        }

    def read(self) -> list[GpuUsage]:
        """Some microseconds each."""
        found = []
        for name, handle in self._handles.items():
            memory = self._library.nvmlDeviceGetMemoryInfo(handle)
            used, total, share = memory.used, memory.total, float("nan")
            # Not on every GPU: a slice of one (MIG) does not say how busy it is.
            with suppress(self._library.NVMLError):
                share = self._library.nvmlDeviceGetUtilizationRates(handle).gpu / 100
            found.append(GpuUsage(name, used, total, share))
        return found


def uuids_of(torch_names: Iterable[str]) -> dict[str, str]:
    """Of each GPU among these devices."""
    names = [name for name in torch_names if name.startswith("cuda")]
    if not names:
        return {}
    import torch

    try:
        return {name: f"GPU-{torch.cuda.get_device_properties(name).uuid}" for name in names}
    except Exception:  # AttributeError of a torch without them; metrics must not stop a service
        return {}


def nvml_of(uuids: Mapping[str, str]) -> UsageSource | None:
    """NVML for these GPUs; None without any, without the bindings, or where it does not work."""
    if not uuids:
        return None
    try:
        return Nvml(uuids)
    except Exception:  # ImportError, or any of NVML's; metrics must not stop a service
        return None


class BucketTime(Protocol):
    """What the batches of one bucket took on a device."""

    @property
    def batches(self) -> int:
        """Number of batches."""
        ...

    @property
    def images(self) -> int:
        """Number of images in them."""
        ...

    @property
    def seconds(self) -> float:
        """Time on the device."""
        ...


class TimedEngine(Protocol):
    """An engine that keeps its times."""

    def times(self) -> Mapping[tuple[str, int], BucketTime]:
        """Return the times by device and batch bucket."""
        ...


class GpuCollector(Collector):
    """Reads when asked; costs a request nothing."""

    def __init__(self, engine: TimedEngine, usage: UsageSource | None) -> None:
        self._engine = engine
        self._usage = usage

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """All families."""
        labels = ["device", "batch"]
        seconds = CounterMetricFamily(
            "inference_device_seconds", "Time on the device, by padded batch size", labels=labels
        )
        batches = CounterMetricFamily(
            "inference_device_batches", "Batches, by padded size", labels=labels
        )
        images = CounterMetricFamily(
            "inference_device_images", "Images in them, without padding", labels=labels
        )
        for (device, bucket), time in self._engine.times().items():
            key = [device, str(bucket)]
            seconds.add_metric(key, time.seconds)
            batches.add_metric(key, time.batches)
            images.add_metric(key, time.images)
        yield from (seconds, batches, images)
        if self._usage is None:
            return
        used = GaugeMetricFamily(
            "gpu_memory_used_bytes", "GPU memory in use, by all processes", labels=["device"]
        )
        total = GaugeMetricFamily("gpu_memory_bytes", "GPU memory", labels=["device"])
        busy = GaugeMetricFamily(
            "gpu_utilization_ratio", "Share of time in which a kernel ran", labels=["device"]
        )
        with suppress(Exception):  # of a lost GPU NVML says nothing; the rest must be readable
            for gpu in self._usage.read():
                used.add_metric([gpu.name], gpu.used_bytes)
                total.add_metric([gpu.name], gpu.total_bytes)
                busy.add_metric([gpu.name], gpu.utilisation)
        yield from (used, total, busy)


def collect_gpu_metrics(engine: "DeviceEngine") -> GpuCollector:
    """Return the collector for an engine and the GPUs that it runs on."""
    names = (pipeline.device.torch_name for pipeline in engine.pipelines)
    return GpuCollector(engine, nvml_of(uuids_of(names)))
