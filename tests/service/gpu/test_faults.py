"""Without a GPU, with too little memory, with a driver too old, with a device that is lost."""

import asyncio
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from service.errors import OperatorError, OverloadedError
from service.gpu import engine as device_program
from service.gpu.diagnosis import GpuFacts, driver_cuda_version, obstacle_of
from service.gpu.engine import DeviceEngine
from service.inference_runner import InferenceRunner
from service.machine import gpu_count
from service.runner.admission import Admission
from service.runner.jobs import Inference
from service.runner.plan import Layout
from service.runner.watch import EXIT_STATUS, HealthWatch
from tests.service.engines_for_tests import one_byte
from tests.service.gpu.test_staging import pipeline
from tests.service.simulated_device import SimulatedDevice

FINE = GpuFacts(
    driver_cuda=(13, 0),
    gpus=1,
    torch="2.15.0+cu132",
    torch_cuda="13.2",
    torch_sees_gpus=True,
    capability=(9, 0),
    built_for=("sm_75", "sm_80", "sm_86", "sm_90", "sm_120", "compute_120"),
)


def test_a_gpu_that_torch_can_use_is_no_obstacle() -> None:
    assert obstacle_of(FINE) is None
    assert obstacle_of(replace(FINE, capability=(8, 9))) is None  # runs sm_86's kernels
    assert obstacle_of(replace(FINE, capability=(13, 0))) is None  # from sm_120's PTX


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"driver_cuda": None}, "no NVIDIA driver"),
        ({"torch_cuda": None}, "built without CUDA"),
        ({"driver_cuda": (12, 8)}, "driver is too old: it supports CUDA 12.8.*Update the driver"),
        ({"gpus": 0}, "shows none.*CUDA_VISIBLE_DEVICES"),
        ({"torch_sees_gpus": False}, "cannot use it"),
        ({"capability": (7, 0)}, "no kernels for a GPU of compute capability 7.0"),
    ],
)
def test_every_obstacle_says_what_to_do(change: dict[str, object], words: str) -> None:
    obstacle = obstacle_of(replace(FINE, **change))  # type: ignore[arg-type]
    assert obstacle is not None
    assert "\n" not in obstacle

    assert re.search(words, obstacle), obstacle


def test_the_driver_is_asked_without_torch() -> None:
    assert (driver_cuda_version() is not None) or gpu_count() == 0


def test_too_little_memory_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "model.bf16.pt2"
    program.write_bytes(bytes(50_000_000))
    device = SimulatedDevice(name="cuda:0")
    device.free = 70_000_000
    monkeypatch.setattr(device_program, "open_devices", lambda _: [device])
    with pytest.raises(OperatorError) as caught:
        device_program.load(program, "cuda", 1)
    line = str(caught.value)
    assert "cuda:0 has too little free memory" in line
    assert "needs about 0.7 GB, 0.1 GB are free" in line
    assert "--device cpu" in line
    assert "\n" not in line


def test_requests_to_a_lost_device_are_answered_503() -> None:
    device = SimulatedDevice()
    engine = DeviceEngine([pipeline(device)], "program")
    runner = InferenceRunner(
        engine, lambda data: one_byte(data)[:2, :2], Layout(2, 1, 8), Admission(10, 0.01, 0.01, 1)
    )

    async def ask(*values: int) -> list[object]:
        jobs = (runner.classify(bytes([value])) for value in values)
        return list(await asyncio.gather(*jobs, return_exceptions=True))

    (answer,) = asyncio.run(ask(5))
    assert isinstance(answer, Inference)
    assert answer.probabilities.tolist() == [5, 60]
    device.broken = RuntimeError("CUDA error: unspecified launch failure")
    found = asyncio.run(ask(*range(6)))
    assert all(isinstance(one, OverloadedError) for one in found), found
    assert all("unspecified launch failure" in str(one) for one in found)
    runner.close()
    assert (runner.counters.answered, runner.counters.failed) == (1, 6)


class Patient:
    """An engine whose device gives up when told."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def check_health(self) -> str | None:
        return self.reason


def test_the_watch_stops_the_service_once_the_device_is_lost() -> None:
    engine, stopped, exits = Patient(), threading.Event(), list[int]()
    watch = HealthWatch(engine.check_health, stopped.set, 30, exits.append, every_s=0.001)
    assert not stopped.wait(0.05)
    engine.reason = "cuda:0 failed"
    assert stopped.wait(10)
    watch.close()
    assert watch.reason == "cuda:0 failed"
    assert not exits  # it stopped by itself in time


def test_the_watch_ends_a_process_that_does_not_stop() -> None:
    engine, ended, exits = Patient(), threading.Event(), list[int]()
    engine.reason = "cuda:0 did not finish a batch"

    def end(status: int) -> None:
        exits.append(status)
        ended.set()

    watch = HealthWatch(engine.check_health, lambda: None, 0.01, end, every_s=0.001)
    assert ended.wait(10)
    watch.close()
    assert exits == [EXIT_STATUS]
    assert EXIT_STATUS != 0


def test_a_watch_of_a_healthy_device_ends_with_the_service() -> None:
    stopped = threading.Event()
    HealthWatch(Patient().check_health, stopped.set, 30, lambda _: None, every_s=0.001).close()
    assert not stopped.is_set()
