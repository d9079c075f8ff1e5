"""A process that cannot answer any more ends, so that its supervisor starts another one.

Neither a stuck thread nor CUDA after a fault can be mended within a process. So it is not ready any
more, answers 503 to what is in flight, and exits with a status that is not 0.
"""

import logging
import os
import threading
from collections.abc import Callable

log = logging.getLogger("service")

EXIT_STATUS = 70
"""EX_SOFTWARE of sysexits.h; supervisors restart on anything but 0."""
_EVERY_S = 1.0


class HealthWatch:
    """Asks each second. The first bad answer stops the service."""

    def __init__(
        self,
        check_health: Callable[[], str | None],
        stop: Callable[[], object],
        grace_s: float,
        exit_now: Callable[[int], object] = os._exit,
        every_s: float = _EVERY_S,
    ) -> None:
        """Start the thread.

        Args:
            check_health: says why the device does not work any more, or None.
            stop: begins an orderly stop; from any thread.
            grace_s: after that the process is ended at once: a thread that waits for a hanging
                device would keep it for ever.
            exit_now: ends the process without clean-up.
            every_s: seconds between two questions.
        """
        self._check_health = check_health
        self._stop = stop
        self._grace_s = grace_s
        self._exit_now = exit_now
        self._every_s = every_s
        self._closed = threading.Event()
        self.reason: str | None = None
        """Why the device is lost."""
        self._thread = threading.Thread(target=self._watch, name="health-watch", daemon=True)
        self._thread.start()

    @property
    def exit_status(self) -> int:
        """What the process should end with: 0 while the device works."""
        return 0 if self.reason is None else EXIT_STATUS

    def close(self) -> None:
        """Watch no more."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(self._every_s):
            self.reason = self._check_health()
            if self.reason is None:
                continue
            log.error("health   %s; answering 503 and ending with %d", self.reason, EXIT_STATUS)
            self._stop()
            if not self._closed.wait(self._grace_s):
                log.error("health   did not stop in %g s; ending now", self._grace_s)
                self._exit_now(EXIT_STATUS)
            return
