"""What a serving process changes of its threads and its memory. Elsewhere than on Linux: little."""

import ctypes
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path


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


_STANDARD_ERROR = 2


def open_standard_files() -> None:
    """Open /dev/null as the descriptors 0, 1 and 2 if they are closed; call it before others.

    Otherwise a socket gets one of these numbers, and libuv ends a process that closes it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        pass
    os.close(descriptor)


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
