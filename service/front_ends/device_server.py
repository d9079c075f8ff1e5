"""The device's owner: computes what all front ends ask for, all that waits as one batch."""

import selectors
import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from service.engines.base import PixelBatch, Probabilities
from service.errors import DeviceLostError
from service.front_ends.channel import Channel


class DeviceLike(Protocol):
    """What is asked of the engine."""

    @property
    def devices(self) -> int:
        """How many batches are computed at once."""
        ...

    @property
    def lanes(self) -> int:
        """How many may be under way, those included that are being copied."""
        ...

    def run_images(self, images: Sequence[PixelBatch]) -> Probabilities:
        """Classify images, uint8 H × W × 3 each; float32 N × classes."""
        ...


class Asked(NamedTuple):
    """A batch of one front end."""

    channel: Channel
    images: int


class DeviceOwner:
    """Greedy, as the runner is: an idle device waits for none, and images gather while it is busy.

    One thread listens, one a lane of the engine computes.
    """

    def __init__(self, engine: DeviceLike, channels: Sequence[Channel], max_batch: int) -> None:
        """Start the threads. They end when no front end is left.

        Args:
            engine: what computes.
            channels: of all front ends; they are this owner's from now on.
            max_batch: most images that are computed together.
        """
        self._engine = engine
        self._max_batch = max_batch
        self._waiting: deque[Asked] = deque()
        self._running = 0
        self._closed = False
        self._condition = threading.Condition()
        self._threads = [
            threading.Thread(target=self._listen, args=(channels,), name="listener", daemon=True),
            *(
                threading.Thread(target=self._compute, name=f"lane-{number}", daemon=True)
                for number in range(engine.lanes)
            ),
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until all front ends are gone."""
        for thread in self._threads:
            thread.join()

    def _listen(self, channels: Sequence[Channel]) -> None:
        with selectors.DefaultSelector() as selector:
            for channel in channels:
                selector.register(channel.end, selectors.EVENT_READ, channel)
            while selector.get_map():
                for key, _ in selector.select():
                    count = key.data.asked()
                    if count is None:
                        selector.unregister(key.data.end)
                        key.data.end.close()
                        continue
                    with self._condition:
                        self._waiting.append(Asked(key.data, count))
                        self._condition.notify()
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _compute(self) -> None:
        while True:
            with self._condition:
                while not (batch := self._take()):
                    if self._closed:
                        return
                    self._condition.wait()
                self._running += 1
            self._answer(batch)
            with self._condition:
                self._running -= 1
                self._condition.notify_all()

    def _take(self) -> list[Asked]:
        """What is computed next, if a device is idle, or a full batch could be copied meanwhile."""
        waiting = sum(asked.images for asked in self._waiting)
        if self._running >= self._engine.devices and waiting < self._max_batch:
            return []
        taken: list[Asked] = []
        size = 0
        while self._waiting and (not taken or size + self._waiting[0].images <= self._max_batch):
            taken.append(self._waiting.popleft())
            size += taken[-1].images
        return taken

    def _answer(self, batch: list[Asked]) -> None:
        """Compute it; if it fails, each front end's part alone, so that only one fails."""
        images = [image for channel, count in batch for image in channel.pixels[:count]]
        try:
            probabilities = self._engine.run_images(images)
        except Exception as error:
            lost = error.reason if isinstance(error, DeviceLostError) else None
            if lost is None and len(batch) > 1:
                for asked in batch:
                    self._answer([asked])
                return
            for channel, _count in batch:
                channel.refuse(error, lost)
            return
        first = 0
        for channel, count in batch:
            channel.deliver(probabilities[first : first + count])
            first += count
