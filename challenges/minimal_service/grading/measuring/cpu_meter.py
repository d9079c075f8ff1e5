"""How much of the machine others used meanwhile: what they took, the service did not have."""

import contextlib
import os
import time
from collections.abc import Iterable

import psutil

MOST_OTHERS = 0.2
"""Share of all cores' time. With more of it gone, a missed latency says nothing of the service."""


class CpuMeter:
    """From its making on, what processes other than this one and `pids` take of the processor.

    Args:
        pids: processes that belong to what is measured.
    """

    def __init__(self, pids: Iterable[int] = ()) -> None:
        self._own = [os.getpid(), *pids]
        self._started = time.monotonic()
        self._busy, self._used = _busy_s(), self._used_s()

    def others(self, started: Iterable[int] = ()) -> float:
        """Share of all cores' time since then, 0 to 1; 0 where it is not known.

        Args:
            started: ids of processes of what is measured that have started since then.
        """
        self._own += started
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
    """Seconds that all cores together were not idle, or were lent to other machines ("steal")."""
    times = psutil.cpu_times()
    return float(
        sum(getattr(times, name, 0.0) for name in ("user", "nice", "system", "softirq", "steal"))
    )
