"""The figures of a GPU for Prometheus."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from service.gpu.metrics import DeviceTime, GpuCollector, GpuUsage, Nvml, open_nvml, read_uuids

TIMES = {("cuda:0", 1): DeviceTime(3, 3, 0.006), ("cuda:0", 32): DeviceTime(2, 50, 0.024)}


class FakeNvmlError(Exception):
    pass


class FakeNvml:
    """pynvml's functions for two GPUs, of which torch sees one."""

    NVMLError = FakeNvmlError

    def __init__(self, says_utilisation: bool = True) -> None:
        self.says_utilisation = says_utilisation

    def nvmlInit(self) -> None:  # noqa: N802
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:  # noqa: N802
        return {"GPU-a": 10, "GPU-b": 11}[uuid]

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        return SimpleNamespace(used=handle * 1000, total=150_000)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:  # noqa: N802
        if not self.says_utilisation:
            raise FakeNvmlError("Not Supported")
        return SimpleNamespace(gpu=87)


def scrape(read_usage: Callable[[], list[GpuUsage]] | None) -> str:
    registry = CollectorRegistry()
    registry.register(GpuCollector(lambda: TIMES, read_usage))
    return generate_latest(registry).decode()


def test_memory_utilisation_and_time_on_the_device() -> None:
    text = scrape(Nvml({"cuda:0": "GPU-b"}, FakeNvml()).read)
    for line in (
        'inference_device_seconds_total{batch="32",device="cuda:0"} 0.024',
        'inference_device_batches_total{batch="1",device="cuda:0"} 3.0',
        'inference_device_images_total{batch="32",device="cuda:0"} 50.0',
        'gpu_memory_used_bytes{device="cuda:0"} 11000.0',
        'gpu_memory_bytes{device="cuda:0"} 150000.0',
        'gpu_utilization_ratio{device="cuda:0"} 0.87',
    ):
        assert line in text


def test_an_unknown_utilisation_is_not_a_number() -> None:
    text = scrape(Nvml({"cuda:0": "GPU-a"}, FakeNvml(False)).read)
    assert text.split('gpu_utilization_ratio{device="cuda:0"} ')[1].startswith("NaN")


def test_a_lost_gpu_or_none_leaves_the_rest_readable() -> None:
    def fail() -> list[GpuUsage]:
        raise FakeNvmlError("GPU is lost")

    for read_usage in (fail, None):
        text = scrape(read_usage)
        assert "inference_device_seconds_total{" in text
        assert "gpu_memory_used_bytes{" not in text


def test_on_a_cpu_nvml_is_not_even_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.gpu.metrics.Nvml", None)
    assert open_nvml(read_uuids(["cpu"])) is None
