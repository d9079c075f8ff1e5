"""What this process may use of the machine: cores and GPU. Asked without importing torch."""

import ctypes
import os
import platform
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
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
    """The CPUs' worth of time that the control groups grant, or None for no limit.

    A limit counts for all groups below it, so the smallest on the way up to the root holds.
    Files as of docs.kernel.org/admin-guide/cgroup-v2.html and …/cgroup-v1/.
    """
    quotas = []
    for root, group in _cgroups():
        for folder in (group, *group.parents):
            quotas.append(_quota(root / folder))
    return min((quota for quota in quotas if quota is not None), default=None)


def _cgroups() -> list[tuple[Path, Path]]:
    """Where the CPU controllers are mounted, and this process's group below that."""
    found = [(_CGROUP, Path()), (_CGROUP / "cpu", Path())]
    try:
        lines = _OWN_CGROUP.read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            found.append((_CGROUP, Path(path.lstrip("/"))))
        elif "cpu" in controllers.split(","):
            found.append((_CGROUP / "cpu", Path(path.lstrip("/"))))
    return found


def _quota(group: Path) -> float | None:
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
    spinning thread holds up the very one that it waits for, and a forward pass takes many times as
    long. A short spin is kept, because to sleep at once is slow on an idle machine.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def let_others_go_first(dedicated: bool = False) -> None:
    """Lower this thread's priority, so that the event loop need not wait for a core.

    What the loop has to do takes microseconds (to refuse a request, to say that the service
    lives), what this thread has to do takes milliseconds. On Linux priorities are a thread's own
    (sched(7), "The nice value"); elsewhere nothing is done.

    Args:
        dedicated: nobody else computes on this machine or in this container. Then this thread may
            take the time that nobody else wants (sched(7), SCHED_IDLE), and whoever wakes up gets
            its core at once; a nice thread may keep it to the next tick of the clock, 4 ms.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may forbid it
            if dedicated:
                os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            else:
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)


def return_freed_memory() -> None:
    """Give what was freed back to the operating system; call it when the loading is done.

    While a model is loaded, its file lies in memory beside the weights that are made of it. glibc
    keeps such memory when it is freed (malloc_trim(3)); elsewhere nothing is done.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


_MADV_COLLAPSE = 25
"""Of linux/mman.h; since Linux 6.1."""
_HUGE = 4 * 2**20
"""Bytes of the smallest piece of memory that is worth it."""


def use_huge_pages() -> None:
    """Put this process's large pieces of memory into pages of 2 MB; call it when a model is loaded.

    A pass over hundreds of megabytes of weights looks up tens of thousands of pages of 4 kB, which
    takes its time. Where the system does not offer it, nothing is done.
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


def resident_bytes() -> int:
    """Return the physical memory of this process; 0 on systems without /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


_IMPORTED = time.monotonic()


def seconds_since_process_start() -> float:
    """Since the operating system started this process, Python's own start and imports included.

    On systems without /proc: since this module was imported.
    """
    try:
        # The 22nd field: clock ticks after boot (proc_pid_stat(5)); the name before it may hold
        # spaces, so count from its closing bracket.
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):
        return time.monotonic() - _IMPORTED
