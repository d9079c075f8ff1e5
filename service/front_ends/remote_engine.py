"""The engine of a front end: another process computes."""

import queue
import socket
from contextlib import suppress

import numpy as np

from service.engines.base import PixelBatch, Probabilities
from service.front_ends.channel import OWNER_GONE, Channel
from service.front_ends.worker_config import Seat
from service.gpu.boxes import Box

_READY = b"ready"


class RemoteEngine:
    """Called by as many threads at once as there are channels."""

    def __init__(self, seat: Seat) -> None:
        """Connect."""
        self.runtime = seat.runtime
        self.device = seat.device
        self._most = seat.shape.images
        self._control = socket.socket(fileno=seat.control)
        self._free: queue.LifoQueue[Channel] = queue.LifoQueue()
        channels = seat.open_channels()
        self.lanes = len(channels)
        for channel in channels:
            self._free.put(channel)

    def __call__(self, pixels: PixelBatch | Box) -> Probabilities:
        """Classify uint8 N × H × W × 3, or N boxes of H × W × 3; float32 N × classes.

        Raises:
            DeviceLostError: the device is lost, or its owner.
            RuntimeError: this batch failed.
        """
        images = list(pixels) if pixels.dtype == object else pixels
        parts = []
        for start in range(0, len(images), self._most):
            channel = self._free.get()
            try:
                parts.append(channel.ask(images[start : start + self._most]))
            finally:
                self._free.put(channel)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def check_health(self) -> str | None:
        """Why no answer will come any more, or None. Cheap; asked each second."""
        try:
            said = self._control.recv(4096, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            said = b""
        return said.decode() or OWNER_GONE

    def say_ready(self) -> None:
        """To the owner."""
        with suppress(OSError):  # it is gone: check_health will tell
            self._control.send(_READY)
