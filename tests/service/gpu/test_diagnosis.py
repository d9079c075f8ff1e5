"""Why torch cannot use a GPU: each obstacle is named, with what to do about it."""

import re
from dataclasses import replace

import pytest

from service.gpu.diagnosis import GpuFacts, find_obstacle, gpu_count, read_driver_cuda

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
    assert find_obstacle(FINE) is None
    assert find_obstacle(replace(FINE, capability=(8, 9))) is None  # runs sm_86's kernels
    assert find_obstacle(replace(FINE, capability=(13, 0))) is None  # from sm_120's PTX


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
    obstacle = find_obstacle(replace(FINE, **change))  # type: ignore[arg-type]
    assert obstacle is not None
    assert "\n" not in obstacle
    assert re.search(words, obstacle), obstacle


def test_the_driver_reports_its_cuda_version() -> None:
    assert (read_driver_cuda() is not None) or gpu_count() == 0


def test_no_driver_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", no_driver)
    assert gpu_count() == 0
