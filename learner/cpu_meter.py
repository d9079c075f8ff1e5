"""How much of the processor other programs use while something is measured."""

import contextlib
import os
import time
from collections.abc import Iterable

import psutil

MOST_OTHERS = 0.2
"""Share of all cores' time. If others use more, a missed latency says nothing about a service."""


class CpuMeter:
    """Measures, from its construction on, what other processes use of all cores.

    Args:
        pids: processes that belong to what is measured; this process always does.
    """

    def __init__(self, pids: Iterable[int] = ()) -> None:
        self._own = {os.getpid(), *pids}
        self._started = time.monotonic()
        self._busy, self._used = _busy_s(), self._used_s()

    def others(self, started: Iterable[int] = ()) -> float:
        """Return the others' share of all cores' time so far, 0 to 1; 0 where it is unknown.

        Args:
            started: processes of what is measured that started after the construction.
        """
        self._own.update(started)
        wall = (time.monotonic() - self._started) * (psutil.cpu_count() or 1)
        taken = (_busy_s() - self._busy) - (self._used_s() - self._used)
        return min(1.0, max(0.0, taken / wall)) if wall > 0 else 0.0

    def _used_s(self) -> float:
        total = 0.0
        for pid in self._own:
            with contextlib.suppress(psutil.Error, OSError):
                used = psutil.Process(pid).cpu_times()
                total += used.user + used.system
        return total


def _busy_s() -> float:
    """Return the seconds that all cores were not idle, or lent to other machines ("steal")."""
    times = psutil.cpu_times()
    return float(
        sum(getattr(times, name, 0.0) for name in ("user", "nice", "system", "softirq", "steal"))
    )
