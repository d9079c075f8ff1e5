"""Detect a lost device.

CUDA cannot be restarted within a process: after an error inside a kernel, or when a GPU falls off
the bus, every further call fails. From then on the service is not ready, every request is answered
503, and the process ends (`service.runner.watch`).
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from service.errors import DeviceLostError

if TYPE_CHECKING:  # it imports torch, which a front end does not
    from service.gpu.streams import Device

HANG_S = 30.0
"""Seconds after which a batch, which takes milliseconds, is considered to hang."""


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


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
