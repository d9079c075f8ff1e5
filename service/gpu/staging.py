"""Overlap copies and computation on one device: one batch is copied while another is computed.

Each batch uses a slot: pinned memory and device memory for its pixels, and the same for its
answers. Three streams serve all slots: one copies in, one computes, one copies out. Pixels cross
the bus as uint8, a quarter of the size of normalised floats; the graph normalises them.
"""

import queue
import threading
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from service.engines.base import Images, PixelBatch, Probabilities
from service.gpu.faults import DeviceHealth
from service.gpu.metrics import DeviceTime
from service.gpu.streams import Device, Work

Program = Callable[[Tensor], Tensor]
"""uint8 N × H × W × 3 to float32 N × classes, on the device."""
SLOTS = 2
"""Slots of a device: one batch is computed, one is copied."""


class _Slot:
    def __init__(self, device: Device, shape: Sequence[int], classes: int) -> None:
        most = shape[0]
        self.pixels_host = device.host_buffer(shape, torch.uint8)
        self.pixels = device.buffer(shape, torch.uint8)
        self.answers = device.buffer((most, classes), torch.float32)
        self.answers_host = device.host_buffer((most, classes), torch.float32)
        self.pixels_array: PixelBatch = self.pixels_host.numpy()
        self.answers_array: Probabilities = self.answers_host.numpy()


class Pipeline:
    """Runs a program on one device, for as many threads at once as it has slots."""

    def __init__(
        self,
        device: Device,
        program: Program,
        image_shape: Sequence[int],
        buckets: Sequence[int],
        slots: int = SLOTS,
    ) -> None:
        """Record the program for each bucket, the largest first: the others share its memory.

        Args:
            device: the device that runs the program.
            program: the model.
            image_shape: height, width, 3.
            buckets: batch sizes; any other batch is padded up to the next bucket.
            slots: number of batches under way at once.

        Raises:
            RuntimeError: not even the smallest bucket fits (torch.OutOfMemoryError, for example).
        """
        self.device = device
        self.health = DeviceHealth(device)
        self._copies_in, self._compute, self._copies_out = (device.stream() for _ in range(3))
        self._enqueueing = threading.Lock()
        most = max(buckets)
        with torch.inference_mode():
            self._pixels = device.buffer((most, *image_shape), torch.uint8)
            # Weights and zeros may still be under way, in another stream than ours.
            device.synchronise()
            first: list[Tensor] = []
            self._compute.run(lambda: first.append(program(self._pixels[:1])))
            device.synchronise()
            classes = first[0].shape[1]
            self._answers = device.buffer((most, classes), torch.float32)
            self._recorded = self._record_all(program, sorted(buckets, reverse=True))
            self.buckets = tuple(sorted(self._recorded))
            shape = (self.buckets[-1], *image_shape)
            self._slots = [_Slot(device, shape, classes) for _ in range(slots)]
            device.synchronise()
        self._free: queue.LifoQueue[_Slot] = queue.LifoQueue()
        for slot in self._slots:
            self._free.put(slot)
        self.times = {bucket: DeviceTime() for bucket in self.buckets}

    def _record_all(self, program: Program, buckets: Sequence[int]) -> dict[int, Work]:
        recorded: dict[int, Work] = {}
        for bucket in buckets:

            def run(bucket: int = bucket) -> None:
                self._answers[:bucket].copy_(program(self._pixels[:bucket]))

            try:
                recorded[bucket] = self.device.record(run, self._compute)
            except torch.OutOfMemoryError:
                if bucket == buckets[-1]:
                    raise
        return recorded

    def run(self, images: Images) -> Probabilities:
        """Classify at most as many images as the largest bucket; waits for a free slot.

        Called from any thread. Images are uint8 H × W × 3; returns float32 N × classes.

        Raises:
            DeviceLostError: the device is gone.
        """
        count = len(images)
        bucket = next(size for size in self.buckets if size >= count)
        slot = self._free.get()
        try:
            with self.health.guard(), torch.inference_mode():
                for row, image in zip(slot.pixels_array, images, strict=False):
                    np.copyto(row, image, casting="no")
                # If the copy of the answers fails silently, answers of an older batch must not be
                # returned instead: the runner refuses NaN.
                slot.answers_array[:count] = np.nan
                self._send_through(slot, count, bucket)
                return slot.answers_array[:count].copy()
        finally:
            self._free.put(slot)

    def _send_through(self, slot: _Slot, count: int, bucket: int) -> None:
        """Queue a batch's three steps, and wait for the last."""
        copies_in, compute, copies_out = self._copies_in, self._compute, self._copies_out
        with self._enqueueing:  # keeps one batch's steps together in the compute stream
            copies_in.run(lambda: _copy(slot.pixels, slot.pixels_host, count))
            compute.wait_for(copies_in.mark())
            started = compute.mark()
            # A recording always reads and writes the same memory. Rows beyond `count` hold pixels
            # of an earlier batch; their answers are not read.
            compute.run(lambda: _copy(self._pixels, slot.pixels, count))
            compute.run(self._recorded[bucket])
            compute.run(lambda: _copy(slot.answers, self._answers, count))
            computed = compute.mark()
            copies_out.wait_for(computed)
            copies_out.run(lambda: _copy(slot.answers_host, slot.answers, count))
            done = copies_out.mark()
        done.wait()
        seconds = computed.seconds_since(started)
        with self._enqueueing:
            time = self.times[bucket]
            time.batches += 1
            time.images += count
            time.seconds += seconds


def _copy(to: Tensor, source: Tensor, count: int) -> None:
    to[:count].copy_(source[:count], non_blocking=True)
