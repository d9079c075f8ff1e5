"""How busy other programs keep this machine while a service is measured."""

import os

import psutil


class Others:
    """The processor time of everything but this process and a service.

    Args:
        group: the service's process group, whose leader has the same number.
    """

    def __init__(self, group: int) -> None:
        self._group = group
        self._begun = self._now()

    def share(self) -> float | None:
        """The share of all processors, 0 to 1, that others had; None where it cannot be known."""
        now = self._now()
        if self._begun is None or now is None:
            return None
        total, busy, ours = (end - begin for end, begin in zip(now, self._begun, strict=True))
        return min(1.0, max(0.0, (busy - ours) / total)) if total > 0 else None

    def _now(self) -> tuple[float, float, float] | None:
        """Seconds of processor time so far: all, all that were not idle, ours."""
        try:
            leader = psutil.Process(self._group)
            own = [psutil.Process(os.getpid()), leader, *leader.children(recursive=True)]
            ours = sum(one.user + one.system for one in (process.cpu_times() for process in own))
            machine = psutil.cpu_times()._asdict()
        except (psutil.Error, OSError):
            return None
        # Linux counts a guest's time as the user's, too.
        total = sum(s for name, s in machine.items() if not name.startswith("guest"))
        return total, total - machine["idle"] - machine.get("iowait", 0.0), ours
