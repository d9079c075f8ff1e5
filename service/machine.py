"""What this process may use of the machine: cores and GPU. Asked without importing torch."""

import ctypes
import os
import platform
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_CPU_INFO = Path("/proc/cpuinfo")


def available_cores() -> int:
    """Cores that this process may use, at least 1: its CPU affinity, cut by a container's quota.

    A container limited to 2 CPUs on a 64-core host still sees 64 cores; 64 threads there take
    turns on 2 and are many times slower than 2 threads.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _cgroup_cpu_quota()
    return max(1, min(cores or 1, int(quota) if quota else cores or 1))


def _cgroup_cpu_quota() -> float | None:
    """The CPUs' worth of time that the control group grants, or None for no limit.

    Files as of docs.kernel.org/admin-guide/cgroup-v2.html and …/cgroup-v1/; inside a container
    its own group is mounted at the root.
    """
    try:
        quota, period = (_CGROUP / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (_CGROUP / "cpu/cpu.cfs_quota_us").read_text()
            period = (_CGROUP / "cpu/cpu.cfs_period_us").read_text()
        except OSError:
            return None
    try:
        limited = int(quota) > 0 and int(period) > 0
    except ValueError:  # "max": no limit
        return None
    return int(quota) / int(period) if limited else None


def adds_int8_products_exactly() -> bool:
    """Whether the processor can add products of uint8 and int8 without overflow.

    x86 processors without the VNNI instructions add pairs of them in 16 bits, where they saturate
    (onnxruntime.ai/docs/performance/model-optimizations/quantization.html, "U8S8").
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    try:
        return "vnni" in _CPU_INFO.read_text()  # avx512_vnni, avx_vnni
    except OSError:
        return False  # another system than Linux: unknown


def gpu_count() -> int:
    """NVIDIA GPUs that the driver shows to this process (CUDA_VISIBLE_DEVICES is honoured)."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0  # no driver
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def let_waiting_threads_sleep() -> None:
    """Have torch's threads sleep when they wait for each other; call it before torch is imported.

    By default they spin for milliseconds. Where something else needs a core at the same time, a
    spinning thread holds up the very one that it waits for: a forward pass of 30 ms was seen to
    take 1,500 ms. (A short spin, because sleeping at once costs an idle machine a third.)
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
