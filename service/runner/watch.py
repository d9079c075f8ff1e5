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
_CHECK_INTERVAL_S = 1.0


class HealthWatch:
    """Checks each second whether answers can still come, and stops the service if not."""

    def __init__(
        self,
        check_health: Callable[[], str | None],
        stop: Callable[[], object],
        grace_s: float,
        exit_now: Callable[[int], object] = os._exit,
        interval_s: float = _CHECK_INTERVAL_S,
    ) -> None:
        """Start the thread.

        Args:
            check_health: returns why no answer can come any more, or None.
            stop: begins an orderly stop; called from the watch's thread.
            grace_s: seconds until the process is ended without an orderly stop: a stuck thread
                would keep it alive for ever.
            exit_now: ends the process without clean-up.
            interval_s: seconds between two checks.
        """
        self._check_health = check_health
        self._stop = stop
        self._grace_s = grace_s
        self._exit_now = exit_now
        self._interval_s = interval_s
        self._closed = threading.Event()
        self.reason: str | None = None
        """Why no answer can come any more; None while all is well."""
        self._thread = threading.Thread(target=self._watch, name="health-watch", daemon=True)
        self._thread.start()

    @property
    def exit_status(self) -> int:
        """The exit status that the process should have: 0 while all is well."""
        return 0 if self.reason is None else EXIT_STATUS

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(self._interval_s):
            self.reason = self._check_health()
            if self.reason is None:
                continue
            log.error("health   %s; answering 503 and ending with %d", self.reason, EXIT_STATUS)
            self._stop()
            if not self._closed.wait(self._grace_s):
                log.error("health   did not stop in %g s; ending now", self._grace_s)
                self._exit_now(EXIT_STATUS)
            return
