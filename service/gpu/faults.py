"""What can become of a device: too little memory before the start, lost in flight.

After an error inside a kernel, or when a GPU falls off the bus, every further call of the process
to CUDA fails: its context cannot be mended. So from then on nothing is answered but 503, and the
process ends for its supervisor (`service.runner.watch`).
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import DeviceLostError, OperatorError
from service.gpu.streams import Device

HANG_S = 30.0
"""A batch takes milliseconds. One that takes so long never ends."""


class DeviceHealth:
    """Knows whether a device is lost. Any thread may ask and tell."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._lock = threading.Lock()
        self._running: dict[int, float] = {}
        self._last = 0
        self.lost = threading.Event()
        self.reason = ""

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Run one batch. Its failure is its own, unless the device then does not answer.

        Raises:
            DeviceLostError: the device is lost, before it or by it.
        """
        self.refuse_if_lost()
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
                self.refuse_if_lost(error)
            raise
        finally:
            with self._lock:
                del self._running[number]
        self.refuse_if_lost()  # by another batch meanwhile: then this answer is not to be trusted

    def refuse_if_lost(self, cause: Exception | None = None) -> None:
        """Raise DeviceLostError if it is."""
        if self.lost.is_set():
            raise DeviceLostError(self.reason) from cause

    def declare_lost(self, reason: str) -> None:
        """For good."""
        with self._lock:
            self.reason = self.reason or reason
        self.lost.set()

    def look_for_hang(self) -> None:
        """Declare the device lost if a batch has been on it for `HANG_S`."""
        with self._lock:
            oldest = min(self._running.values(), default=None)
        if oldest is not None and time.monotonic() - oldest > HANG_S:
            self.declare_lost(f"{self._device.torch_name} did not finish a batch in {HANG_S:g} s")


def check_memory(device: Device, needed: int, what: str) -> None:
    """See that a model fits before it is loaded.

    Args:
        device: where to.
        needed: bytes.
        what: "form bf16".

    Raises:
        OperatorError: too little is free.
    """
    free = device.free_bytes()
    if free < needed:
        raise too_little_memory(device, needed, free, what)


def too_little_memory(device: Device, needed: int, free: int, what: str) -> OperatorError:
    """The one line: needed, free, what to do."""
    return OperatorError(
        f"{device.torch_name} has too little free memory: {what} needs about "
        f"{needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free. Stop what else uses it (nvidia-smi "
        "lists it), choose another GPU (CUDA_VISIBLE_DEVICES), or serve on the CPU (--device cpu)"
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
