"""One batch at a time, from a front end to the device's owner and back.

Pixels and probabilities lie in memory that both processes see; a socket says whose turn it is. Both
vanish with the processes that hold them, and who waits at a socket wakes up when the other is gone.
"""

import mmap
import os
import socket
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from service.engines.base import PixelBatch, Probabilities
from service.errors import DeviceLostError

_FLOAT = 4
_COUNT = 4
"""Bytes of a request: how many images there are."""
_MOST = 4096
"""Bytes of a reply: one that says what became of the batch, and why."""
_ANSWERED, _FAILED, _LOST = b"a", b"f", b"l"
OWNER_GONE = "the process that owns the device has ended"


class Shape(NamedTuple):
    """What a channel holds."""

    images: int
    """Most in a batch."""
    height: int
    width: int
    classes: int

    @property
    def pixel_bytes(self) -> int:
        """Up to where the probabilities begin, as floats must."""
        return -(-self.images * self.height * self.width * 3 // _FLOAT) * _FLOAT

    @property
    def bytes(self) -> int:
        """Of the shared memory."""
        return self.pixel_bytes + self.images * self.classes * _FLOAT


def new_memory(size: int) -> int:
    """File descriptor of so many bytes of memory, zeros, that processes can share (Linux)."""
    memory = os.memfd_create("front-end")
    os.truncate(memory, size)
    return memory


class Channel:
    """One end. A front end asks, the owner answers."""

    def __init__(self, end: socket.socket, memory: int, shape: Shape) -> None:
        """Map the memory, whose file descriptor may be closed then."""
        self.end = end
        view = mmap.mmap(memory, shape.bytes)
        size = (shape.images, shape.height, shape.width, 3)
        self.pixels: PixelBatch = np.ndarray(size, np.uint8, view)
        self.probabilities: Probabilities = np.ndarray(
            (shape.images, shape.classes), np.float32, view, shape.pixel_bytes
        )

    def ask(self, images: Sequence[PixelBatch] | PixelBatch) -> Probabilities:
        """Have images classified, uint8 H × W × 3 each, at most the shape's; waits.

        Raises:
            DeviceLostError: the device is lost, or its owner.
            RuntimeError: this batch failed.
        """
        count = len(images)
        for row, image in zip(self.pixels, images, strict=False):
            np.copyto(row, image, casting="no")
        try:
            self.end.send(count.to_bytes(_COUNT, "little"))
            reply = self.end.recv(_MOST)
        except OSError:
            reply = b""
        if not reply or reply[:1] == _LOST:
            raise DeviceLostError(reply[1:].decode() or OWNER_GONE)
        if reply[:1] == _FAILED:
            raise RuntimeError(reply[1:].decode())
        return self.probabilities[:count].copy()

    def asked(self) -> int | None:
        """How many images the front end wants classified; waits. None: it is gone."""
        try:
            request = self.end.recv(_COUNT)
        except OSError:
            return None
        return min(int.from_bytes(request, "little"), len(self.pixels)) if request else None

    def deliver(self, probabilities: Probabilities) -> None:
        """Answer with those of the images asked for."""
        self.probabilities[: len(probabilities)] = probabilities
        self._reply(_ANSWERED)

    def refuse(self, error: Exception, lost: str | None) -> None:
        """The batch failed; `lost` says why the device is lost, if that is it."""
        text = lost if lost is not None else str(error) or type(error).__name__
        self._reply((_FAILED if lost is None else _LOST) + text.encode()[: _MOST // 2])

    def _reply(self, reply: bytes) -> None:
        try:
            self.end.send(reply)
        except OSError:
            return  # the front end is gone: nobody waits


def pair_of_ends() -> tuple[socket.socket, socket.socket]:
    """Two connected ends that keep messages apart; one of them can be handed to another process."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
