"""The machine: what this process may use of it, and how it shares it. torch is not imported."""

import ctypes
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def available_cores() -> int:
    """Return how many cores this process may use: its CPU affinity, cut by a container's quota.

    A container with 2 CPUs on a host of 64 cores still sees 64 cores; 64 threads there take turns
    on 2 and are many times slower than 2 threads.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _cgroup_cpu_quota()
    return max(1, min(cores or 1, int(quota) if quota else cores or 1))


def _cgroup_cpu_quota() -> float | None:
    """Return the CPU time that the control groups grant, in CPUs, or None for no limit.

    A limit applies to all groups below it, so the smallest on the way up to the root counts.
    The files are described in docs.kernel.org/admin-guide/cgroup-v2.html and …/cgroup-v1/.
    """
    quotas = []
    for root, group in _find_cgroups():
        for folder in (group, *group.parents):
            quotas.append(_read_quota(root / folder))
    return min((quota for quota in quotas if quota is not None), default=None)


def _find_cgroups() -> list[tuple[Path, Path]]:
    """Return the mount points of the CPU controllers, and this process's group below each."""
    groups = [(_CGROUP, Path()), (_CGROUP / "cpu", Path())]
    try:
        lines = _OWN_CGROUP.read_text().splitlines()
    except OSError:
        return groups
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            groups.append((_CGROUP, Path(path.lstrip("/"))))
        elif "cpu" in controllers.split(","):
            groups.append((_CGROUP / "cpu", Path(path.lstrip("/"))))
    return groups


def _read_quota(group: Path) -> float | None:
    try:
        quota, period = (group / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    try:
        return int(quota) / int(period) if int(quota) > 0 and int(period) > 0 else None
    except ValueError:  # "max": no limit
        return None


def gpu_count() -> int:
    """Count the NVIDIA GPUs that the driver shows to this process (see CUDA_VISIBLE_DEVICES)."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0  # no driver
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def let_waiting_threads_sleep() -> None:
    """Make torch's threads sleep while they wait for each other; call it before importing torch.

    By default they spin for milliseconds. If another program needs a core meanwhile, a spinning
    thread delays the one that it waits for, and a forward pass takes many times as long. A short
    spin is kept, because sleeping at once is slow on an idle machine.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def let_others_go_first(dedicated: bool = False) -> None:
    """Lower this thread's priority, so that the event loop need not wait for a core.

    The work of the loop takes microseconds (refusing a request, reporting health), the work of this
    thread takes milliseconds. On Linux each thread has its own priority (sched(7), "The nice
    value"); on other systems nothing is done.

    Args:
        dedicated: no other program computes on this machine or in this container. Then this thread
            only uses idle time (sched(7), SCHED_IDLE), and a thread that wakes up gets its core at
            once. A nice thread may keep the core until the next clock tick, 4 ms later.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may forbid it
            if dedicated:
                os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            else:
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)


_M_MMAP_THRESHOLD = -3
"""Parameter of mallopt(3)."""


def give_large_memory_back() -> None:
    """Have glibc return each freed piece of 1 MB or more to the system at once.

    By default it keeps ever larger pieces for itself after the first one was freed (mallopt(3),
    "M_MMAP_THRESHOLD"), so a few large images would leave hundreds of megabytes resident.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 2**20)


def return_freed_memory() -> None:
    """Return freed memory to the operating system; call it after loading a model.

    While a model is loaded, its file is in memory besides the weights. glibc keeps such memory when
    it is freed (malloc_trim(3)); with other C libraries nothing is done.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


_MADV_COLLAPSE = 25
"""The constant of linux/mman.h, since Linux 6.1."""
_HUGE = 4 * 2**20
"""Smallest mapping, in bytes, for which huge pages pay."""


def use_huge_pages() -> None:
    """Move this process's large mappings to pages of 2 MB; call it after loading a model.

    A pass over hundreds of megabytes of weights looks up tens of thousands of 4 kB pages, which is
    slow. On a system without huge pages nothing is done.
    """
    try:
        libc = ctypes.CDLL(None)
        mappings = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
        for area, rights, *_, inode in (mapping[:5] for mapping in mappings):
            first, last = (int(edge, 16) for edge in area.split("-"))
            if rights == "rw-p" and inode == "0" and last - first >= _HUGE:
                libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _MADV_COLLAPSE)
    except (OSError, AttributeError):
        return


_IMPORTED = time.monotonic()


def seconds_since_process_start() -> float:
    """Return the age of this process in seconds, with Python's own start and imports.

    On systems without /proc: the time since this module was imported.
    """
    try:
        # The 22nd field: clock ticks after boot (proc_pid_stat(5)); the name before it may hold
        # spaces, so count from its closing bracket.
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):
        return time.monotonic() - _IMPORTED
