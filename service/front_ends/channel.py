"""Send one batch at a time from a front end to the device's owner, and its answers back.

Pixels and probabilities lie in memory that both processes map; a connection says whose turn it is.
Both vanish with the processes that hold them, and if one process ends, the other is told at once.
"""

import math
import mmap
import os
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np
import numpy.typing as npt

from service.engines.base import Images, PixelBatch, Probabilities
from service.errors import DeviceLostError

OWNER_GONE = "the process that owns the device has ended"


class SharedArray:
    """A numpy array of zeros in memory that this process shares with those it spawns (Linux).

    It can be an argument of a spawned process. Its memory is an anonymous file: unlike
    `multiprocessing.shared_memory` it needs no clean-up, and does not count against /dev/shm, which
    has 64 MB in a container.
    """

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike, file: int = -1) -> None:
        """Map the memory of the file descriptor `file`; -1 creates new memory."""
        self._dtype = np.dtype(dtype)
        size = math.prod(shape) * self._dtype.itemsize
        if file == -1:
            file = os.memfd_create("front-end")
            os.truncate(file, size)
        self._file = file
        self.array: npt.NDArray[Any] = np.ndarray(shape, self._dtype, mmap.mmap(file, size))

    def __reduce__(self) -> tuple[Any, ...]:
        return _map_inherited, (self.array.shape, self._dtype, DupFd(self._file))


def _map_inherited(shape: tuple[int, ...], dtype: npt.DTypeLike, file: Any) -> SharedArray:
    return SharedArray(shape, dtype, file.detach())


class Channel:
    """One end of a channel: a front end asks at its end, the owner answers at the other."""

    def __init__(self, connection: "Connection[Any, Any]", memory: SharedArray, row: int) -> None:
        """Take a connection, and a row of the memory that `make_channels` creates."""
        self.connection = connection
        self._memory = memory
        self._row = row

    @property
    def pixels(self) -> PixelBatch:
        """The shared pixels, uint8 images × H × W × 3."""
        pixels: PixelBatch = self._memory.array["pixels"][self._row]
        return pixels

    @property
    def probabilities(self) -> Probabilities:
        """The shared answers, float32 images × classes."""
        probabilities: Probabilities = self._memory.array["probabilities"][self._row]
        return probabilities

    def ask(self, images: Images) -> Probabilities:
        """Have the owner classify images, uint8 H × W × 3, no more than fit; waits.

        Raises:
            DeviceLostError: the device is lost, or its owner has ended.
            RuntimeError: this batch failed.
        """
        for row, image in zip(self.pixels, images, strict=False):
            np.copyto(row, image, casting="no")
        try:
            self.connection.send(len(images))
            failure: tuple[type[Exception], str] | None = self.connection.recv()
        except (OSError, EOFError):
            raise DeviceLostError(OWNER_GONE) from None
        if failure is not None:
            kind, text = failure
            raise kind(text)
        return self.probabilities[: len(images)].copy()

    def receive(self) -> int | None:
        """Return how many images the front end wants classified; waits. None: it has ended."""
        try:
            count: int = self.connection.recv()
        except (OSError, EOFError):
            return None
        return min(count, len(self.pixels))

    def send_answers(self, probabilities: Probabilities) -> None:
        """Send the answers for the images that were received."""
        self.probabilities[: len(probabilities)] = probabilities
        self._reply(None)

    def refuse(self, error: Exception) -> None:
        """Send the error by which the batch failed."""
        if isinstance(error, DeviceLostError):
            self._reply((DeviceLostError, error.reason))
        else:
            self._reply((RuntimeError, str(error) or type(error).__name__))

    def _reply(self, failure: tuple[type[Exception], str] | None) -> None:
        try:
            self.connection.send(failure)
        except OSError:
            return  # the front end has ended: nobody waits


def make_channels(
    count: int, images: int, image_shape: tuple[int, int, int], classes: int
) -> list[tuple[Channel, Channel]]:
    """Create channels in one piece of memory; returns the owner's and the front end's end of each.

    Args:
        count: number of channels.
        images: most images in a batch.
        image_shape: height, width, 3.
        classes: number of probabilities for each image.
    """
    fields = [
        ("pixels", np.uint8, (images, *image_shape)),
        ("probabilities", np.float32, (images, classes)),
    ]
    memory = SharedArray((count,), np.dtype(fields, align=True))
    pipes = [Pipe() for _ in range(count)]
    return [
        (Channel(ours, memory, row), Channel(theirs, memory, row))
        for row, (ours, theirs) in enumerate(pipes)
    ]
