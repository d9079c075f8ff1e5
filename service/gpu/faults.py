"""Detect a lost device, and end the process, so that its supervisor can start another one.

CUDA cannot be restarted within a process: after an error inside a kernel, or when a GPU falls off
the bus, every further call fails. From then on the service is not ready, every request is answered
503 (`DeviceHealth` sees to that), and the process exits with a status that is not 0.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from service.errors import DeviceLostError

if TYPE_CHECKING:  # it imports torch, which a front end does not
    from service.gpu.streams import Device

log = logging.getLogger("service")

HANG_S = 30.0
"""Seconds after which a batch, which takes milliseconds, is considered to hang."""
EXIT_STATUS = 70
"""EX_SOFTWARE of sysexits.h; supervisors restart on anything but 0."""
_CHECK_INTERVAL_S = 1.0


class DeviceHealth:
    """Records whether a device is lost. Called from any thread."""

    def __init__(self, device: "Device") -> None:
        self._device = device
        self._lock = threading.Lock()
        self._running: dict[int, float] = {}
        """Start time of each batch under way, by its number."""
        self._last = 0
        self.lost = threading.Event()
        self.reason = ""

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Run one batch. Its failure is its own, unless the device does not answer afterwards.

        Raises:
            DeviceLostError: the device was lost before the batch, during it or by it.
        """
        self.raise_if_lost()
        with self._lock:
            self._last += 1
            number = self._last
            self._running[number] = time.monotonic()
        try:
            yield
        except DeviceLostError:
            raise
        except Exception as error:
            # Nothing of a failed batch may be under way when its buffers are used again.
            try:
                self._device.synchronise()
            except Exception as fatal:
                self.declare_lost(f"{self._device.torch_name} failed: {_first_line(fatal)}")
                self.raise_if_lost(error)
            raise
        finally:
            with self._lock:
                del self._running[number]
        self.raise_if_lost()  # another batch lost the device: this answer cannot be trusted

    def raise_if_lost(self, cause: Exception | None = None) -> None:
        """Raise DeviceLostError if the device is lost."""
        if self.lost.is_set():
            raise DeviceLostError(self.reason) from cause

    def declare_lost(self, reason: str) -> None:
        """Mark the device as lost, for good; the first reason is kept."""
        with self._lock:
            self.reason = self.reason or reason
        self.lost.set()

    def check_for_hang(self) -> None:
        """Declare the device lost if a batch has been under way for `HANG_S`."""
        with self._lock:
            oldest = min(self._running.values(), default=None)
        if oldest is not None and time.monotonic() - oldest > HANG_S:
            self.declare_lost(f"{self._device.torch_name} did not finish a batch in {HANG_S:g} s")


class DeviceWatch:
    """Checks each second whether the device is lost, and then stops the service."""

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
            check_health: returns why the device does not work any more, or None.
            stop: begins an orderly stop; called from the watch's thread.
            grace_s: seconds until the process is ended without an orderly stop: a thread that
                waits for a hanging device would keep it alive for ever.
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
        """Why the device is lost; None while it works."""
        self._thread = threading.Thread(target=self._watch, name="device-watch", daemon=True)
        self._thread.start()

    @property
    def exit_status(self) -> int:
        """The exit status that the process should have: 0 while the device works."""
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
            log.error("device   %s; answering 503 and ending with %d", self.reason, EXIT_STATUS)
            self._stop()
            if not self._closed.wait(self._grace_s):
                log.error("device   did not stop in %g s; ending now", self._grace_s)
                self._exit_now(EXIT_STATUS)
            return


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
