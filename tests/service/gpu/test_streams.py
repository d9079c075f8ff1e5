"""The CPU as a device, and the devices that a name stands for."""

import pytest
import torch

from service.gpu import streams
from service.gpu.streams import HostDevice, open_devices
from tests.service.simulated_device import SimulatedDevice


def test_the_host_runs_work_at_once_and_a_recording_again() -> None:
    device, done = HostDevice(), list[str]()
    stream = device.stream()
    before = stream.mark()
    stream.run(lambda: done.append("queued"))
    assert done == ["queued"]
    recording = device.record(lambda: done.append("recorded"), stream)
    recording()
    assert done == ["queued", "recorded", "recorded"]
    after = stream.mark()
    after.wait()
    stream.wait_for(before)
    assert after.seconds_since(before) > 0


def test_the_host_allocates_zeros_in_its_memory() -> None:
    device = HostDevice()
    for allocate in (device.buffer, device.host_buffer):
        buffer = allocate((2, 3), torch.uint8)
        assert (buffer.dtype, buffer.device.type, buffer.tolist()) == (
            torch.uint8, "cpu", [[0] * 3] * 2,
        )  # fmt: skip
    assert device.free_bytes() > 10**6


def test_a_name_stands_for_one_device_or_all_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_gpu(index: int) -> SimulatedDevice:
        return SimulatedDevice(name=f"cuda:{index}")

    monkeypatch.setattr(streams, "CudaDevice", open_gpu)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    names = {"cpu": ["cpu"], "cuda:1": ["cuda:1"], "cuda": ["cuda:0", "cuda:1", "cuda:2"]}
    for name, expected in names.items():
        assert [device.torch_name for device in open_devices(name)] == expected
