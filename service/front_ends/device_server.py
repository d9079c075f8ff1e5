"""Serve the device to all front ends: batches that wait at the same time are computed as one."""

import selectors
import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from service.engines.base import Engine
from service.errors import DeviceLostError
from service.front_ends.channel import Channel
from service.runner.plan import Layout


class _Request(NamedTuple):
    channel: Channel
    images: int


class DeviceServer:
    """Computes as greedily as the runner: an idle device never waits for a batch to fill.

    One thread listens to all channels, and one thread for each lane of the layout computes.
    """

    def __init__(self, engine: Engine, layout: Layout, channels: Sequence[Channel]) -> None:
        """Start the threads. They end when all front ends have ended.

        Args:
            engine: the engine that owns the device.
            layout: the engine's lanes and its largest batch.
            channels: the owner's ends of all channels; this server closes them.
        """
        self._engine = engine
        self._layout = layout
        self._waiting: deque[_Request] = deque()
        self._running = 0
        """Batches under way."""
        self._closed = False
        self._condition = threading.Condition()
        self._threads = [
            threading.Thread(target=self._listen, args=(channels,), name="listener", daemon=True),
            *(
                threading.Thread(target=self._compute, name=f"lane-{number}", daemon=True)
                for number in range(layout.lanes)
            ),
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until all front ends have ended."""
        for thread in self._threads:
            thread.join()

    def _listen(self, channels: Sequence[Channel]) -> None:
        with selectors.DefaultSelector() as selector:
            for channel in channels:
                selector.register(channel.connection, selectors.EVENT_READ, channel)
            while selector.get_map():
                for key, _ in selector.select():
                    channel = key.data
                    images = channel.receive()
                    if images is None:
                        selector.unregister(channel.connection)
                        channel.connection.close()
                        continue
                    with self._condition:
                        self._waiting.append(_Request(channel, images))
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

    def _take(self) -> list[_Request]:
        """Take the next batch, if a device is idle, or if a full batch can be copied meanwhile."""
        waiting = sum(request.images for request in self._waiting)
        devices = self._layout.lanes - self._layout.overlapping
        if self._running >= devices and waiting < self._layout.max_batch:
            return []
        batch: list[_Request] = []
        room = self._layout.max_batch
        while self._waiting and (not batch or self._waiting[0].images <= room):
            batch.append(self._waiting.popleft())
            room -= batch[-1].images
        return batch

    def _answer(self, batch: list[_Request]) -> None:
        """Compute a batch; if it fails, try each front end's part alone, so that one fails only."""
        images = [image for channel, count in batch for image in channel.pixels[:count]]
        try:
            probabilities = self._engine(images)
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, DeviceLostError):
                for request in batch:
                    self._answer([request])
                return
            for channel, _ in batch:
                channel.refuse(error)
            return
        first = 0
        for channel, count in batch:
            channel.send_answers(probabilities[first : first + count])
            first += count
