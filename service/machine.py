"""The machine: what this process may use of it, and how it shares it. torch is not imported."""

import os
import time
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def available_cores(most: int | None = None) -> int:
    """Return how many cores this process may use: its CPU affinity, cut by a container's quota.

    A container with 2 CPUs on a host of 64 cores still sees 64 cores; 64 threads there take turns
    on 2 and are many times slower than 2 threads. `most` is for where no quota says it.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _cgroup_cpu_quota()
    return max(1, min(cores or 1, int(quota or cores or 1), most or cores or 1))


def _cgroup_cpu_quota() -> float | None:
    """Return the CPU time that the control groups grant, in CPUs, or None for no limit.

    A limit applies to all groups below it, so the smallest on the way up to the root counts.
    The files are described in docs.kernel.org/admin-guide/cgroup-v2.html and …/cgroup-v1/.
    """
    quotas = []
    for root, group in find_cgroups():
        for folder in (group, *group.parents):
            quotas.append(_read_quota(root / folder))
    return min((quota for quota in quotas if quota is not None), default=None)


def find_cgroups() -> list[tuple[Path, Path]]:
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
