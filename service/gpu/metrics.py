"""GPU metrics for Prometheus: memory, utilisation, time on the device by batch size.

Memory and utilisation come from NVML, the library behind nvidia-smi, by NVIDIA's own bindings
(nvidia-ml-py). Where they are missing the rest is still reported.
"""

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector


@dataclass(slots=True)
class DeviceTime:
    """What the batches of one bucket took on a device."""

    batches: int = 0
    images: int = 0
    """Images in these batches, without padding."""
    seconds: float = 0.0
    """Time on the device."""


@dataclass(frozen=True, slots=True)
class GpuUsage:
    """The load of one GPU now."""

    name: str
    """As torch calls it: "cuda:0"."""
    used_bytes: int
    """Memory in use, by all processes."""
    total_bytes: int
    utilisation: float
    """Share of the last moments (up to a second) in which a kernel ran, 0–1."""


class Nvml:
    """Reads the usage of GPUs. They are found by UUID: NVML also counts GPUs hidden from torch."""

    def __init__(self, uuids: Mapping[str, str], library: Any = None) -> None:
        """Open NVML.

        Args:
            uuids: by torch name: {"cuda:0": "GPU-8f3c…"}.
            library: module pynvml, imported if not given.
        """
        self._library = library if library is not None else importlib.import_module("pynvml")
        self._library.nvmlInit()
        self._handles = {
            name: self._library.nvmlDeviceGetHandleByUUID(uuid) for name, uuid in uuids.items()
        }

    def read(self) -> list[GpuUsage]:
        """Return the usage of each GPU; takes microseconds."""
        usages = []
        for name, handle in self._handles.items():
            memory = self._library.nvmlDeviceGetMemoryInfo(handle)
            used, total, share = memory.used, memory.total, float("nan")
            # Not available on every GPU: a MIG slice does not report its utilisation.
            with suppress(self._library.NVMLError):
                share = self._library.nvmlDeviceGetUtilizationRates(handle).gpu / 100
            usages.append(GpuUsage(name, used, total, share))
        return usages


def read_uuids(torch_names: Iterable[str]) -> dict[str, str]:
    """Return the UUID of each GPU among these devices, by torch name; imports torch for a GPU."""
    names = [name for name in torch_names if name.startswith("cuda")]
    if not names:
        return {}
    import torch

    try:
        return {name: f"GPU-{torch.cuda.get_device_properties(name).uuid}" for name in names}
    except Exception:  # AttributeError: a torch without UUIDs. Metrics must not stop a service.
        return {}


def open_nvml(uuids: Mapping[str, str]) -> Nvml | None:
    """Open NVML for these GPUs; None without GPUs, without the bindings, or if NVML fails."""
    if not uuids:
        return None
    try:
        return Nvml(uuids)
    except Exception:  # ImportError, or an error of NVML. Metrics must not stop a service.
        return None


class GpuCollector(Collector):
    """Reads the figures when Prometheus asks; requests pay nothing for it."""

    def __init__(
        self,
        read_times: Callable[[], Mapping[tuple[str, int], DeviceTime]],
        read_usage: Callable[[], list[GpuUsage]] | None,
    ) -> None:
        """Take the sources.

        Args:
            read_times: returns the times by device and batch bucket.
            read_usage: returns the usage of each GPU; None if it cannot be read.
        """
        self._read_times = read_times
        self._read_usage = read_usage

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Yield all metric families."""
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
        for (device, bucket), time in self._read_times().items():
            key = [device, str(bucket)]
            seconds.add_metric(key, time.seconds)
            batches.add_metric(key, time.batches)
            images.add_metric(key, time.images)
        yield from (seconds, batches, images)
        if self._read_usage is None:
            return
        used = GaugeMetricFamily(
            "gpu_memory_used_bytes", "GPU memory in use, by all processes", labels=["device"]
        )
        total = GaugeMetricFamily("gpu_memory_bytes", "GPU memory", labels=["device"])
        busy = GaugeMetricFamily(
            "gpu_utilization_ratio", "Share of time in which a kernel ran", labels=["device"]
        )
        with suppress(Exception):  # NVML fails for a lost GPU; the rest must stay readable
            for gpu in self._read_usage():
                used.add_metric([gpu.name], gpu.used_bytes)
                total.add_metric([gpu.name], gpu.total_bytes)
                busy.add_metric([gpu.name], gpu.utilisation)
        yield from (used, total, busy)
