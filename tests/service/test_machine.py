"""Cores and GPUs, as containers and drivers show them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service import machine


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for /sys/fs/cgroup on a machine of 8 cores."""
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    monkeypatch.setattr(machine, "_OWN_CGROUP", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    return tmp_path


@pytest.mark.parametrize(
    ("cpu_max", "cores"),
    [("max 100000\n", 8), ("200000 100000\n", 2), ("350000 100000\n", 3), ("50000 100000\n", 1),
     ("9000000 100000\n", 8), ("", 8), ("nonsense\n", 8)],
)  # fmt: skip
def test_quota_of_cgroup_v2(cgroup: Path, cpu_max: str, cores: int) -> None:
    (cgroup / "cpu.max").write_text(cpu_max)
    assert machine.available_cores() == cores


@pytest.mark.parametrize(("most", "cores"), [(None, 3), (2, 2), (5, 3)])
def test_cores_that_a_setting_leaves(cgroup: Path, most: int | None, cores: int) -> None:
    (cgroup / "cpu.max").write_text("300000 100000\n")
    assert machine.available_cores(most) == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", 8), ("400000", 4), ("10000", 1)])
def test_quota_of_cgroup_v1(cgroup: Path, quota: str, cores: int) -> None:
    (cgroup / "cpu").mkdir()
    (cgroup / "cpu/cpu.cfs_quota_us").write_text(f"{quota}\n")
    (cgroup / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert machine.available_cores() == cores


@pytest.mark.parametrize(
    ("own", "limited", "file"),
    [
        ("0::/system.slice/app.service", "system.slice/app.service", "cpu.max"),
        ("0::/system.slice/app.service", "system.slice", "cpu.max"),
        ("3:cpu,cpuacct:/docker/abc\n0::/", "cpu/docker/abc", "cpu.cfs"),
    ],
)
def test_quota_of_a_nested_group(cgroup: Path, own: str, limited: str, file: str) -> None:
    (cgroup / "own").write_text(own + "\n")
    (cgroup / limited).mkdir(parents=True)
    if file == "cpu.max":
        (cgroup / limited / file).write_text("200000 100000\n")
    else:
        (cgroup / limited / "cpu.cfs_quota_us").write_text("200000\n")
        (cgroup / limited / "cpu.cfs_period_us").write_text("100000\n")
    assert machine.available_cores() == 2


def test_age_of_the_process() -> None:
    script = (
        "import time; started = time.monotonic()\n"
        "import ctypes, pathlib, threading\n"
        "from service.machine import seconds_since_process_start as age\n"
        "print(time.monotonic() - started, age())"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    since_first_line, age = map(float, done.stdout.split())
    # The system counts in ticks of 10 ms.
    assert since_first_line - 0.01 <= age <= time.monotonic() - started + 0.02


def test_affinity(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert machine.available_cores() == 1
