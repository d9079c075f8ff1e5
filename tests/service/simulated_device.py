"""A device whose streams run their work in any order that the marks allow.

Work is only queued. The thread that waits for a mark runs the next work of a random stream, again
and again, until the mark is reached. If the engine lacks a mark that it needs, some order gives a
wrong answer.
"""

import random
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from service.gpu.streams import Mark, Stream, Work


@dataclass(eq=False)
class SimulatedMark:
    device: "SimulatedDevice"
    reached: bool = False

    def wait(self) -> None:
        self.device.run_until(self)

    def seconds_since(self, earlier: Mark) -> float:
        assert isinstance(earlier, SimulatedMark)
        assert (self.reached and earlier.reached) or not self.device.marks_count
        return 0.001


@dataclass(eq=False)
class SimulatedStream:
    device: "SimulatedDevice"
    queue: deque[Work | SimulatedMark | tuple[SimulatedMark]] = field(default_factory=deque)

    def run(self, work: Work) -> None:
        with self.device.lock:
            self.queue.append(work)

    def mark(self) -> SimulatedMark:
        mark = SimulatedMark(self.device)
        with self.device.lock:
            self.queue.append(mark)
        return mark

    def wait_for(self, mark: Mark) -> None:
        assert isinstance(mark, SimulatedMark)
        with self.device.lock:
            if self.device.marks_count:
                self.queue.append((mark,))

    def step(self) -> bool:
        """Run the next work of the queue, unless it has to wait."""
        if not self.queue:
            return False
        if isinstance(head := self.queue[0], tuple) and not head[0].reached:
            return False
        self.queue.popleft()
        if isinstance(head, SimulatedMark):
            head.reached = True
        elif not isinstance(head, tuple):
            with torch.inference_mode():  # a setting of each thread
                head()
        return True


class SimulatedDevice:
    def __init__(self, seed: int = 0, name: str = "cpu", marks_count: bool = True) -> None:
        self.torch_name = name
        self.marks_count = marks_count
        """Whether streams wait for each other's marks; if not, wrong answers must show."""
        self.lock = threading.RLock()
        self.gate = threading.Event()
        self.gate.set()
        self.streams: list[SimulatedStream] = []
        self.synchronisations = 0
        self.broken: Exception | None = None
        self.free = 10**12
        self._random = random.Random(seed)

    def stream(self) -> Stream:
        self.streams.append(SimulatedStream(self))
        return self.streams[-1]

    def buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        return torch.zeros(*shape, dtype=dtype)

    host_buffer = buffer

    def record(self, work: Work, stream: Stream) -> Work:
        stream.run(work)
        self.synchronise()
        return work

    def run_until(self, mark: SimulatedMark) -> None:
        assert self.gate.wait(10), "the gate never opened"
        with self.lock:
            while not mark.reached:
                if self.broken:
                    raise self.broken
                order = self._random.sample(self.streams, len(self.streams))
                assert any(stream.step() for stream in order), "the streams wait for each other"

    def synchronise(self) -> None:
        self.synchronisations += 1
        if self.broken:
            raise self.broken
        with self.lock:
            while any(stream.step() for stream in self.streams):
                pass

    def free_bytes(self) -> int:
        return self.free


WITH_A_DEVICE_THAT_BREAKS = """
import sys
from pathlib import Path
from service.gpu.streams import HostDevice

flag = Path(sys.argv.pop(1))

def check(*_):
    if flag.exists():
        raise RuntimeError("CUDA error: device-side assert triggered")

def record(self, work, stream):
    def checked():
        check()
        work()
    return checked

HostDevice.record, HostDevice.synchronise = record, check
from service.inference_service import create_app
from service.server import serve
serve(create_app)
"""
"""The program of a service, for `python -c` with a file name before the options: its device breaks
as soon as this file exists."""
