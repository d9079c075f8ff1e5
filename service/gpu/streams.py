"""The interface of a device: streams of work, marks in them, buffers, recordings.

A GPU queues work and runs it later, at the same time as the work of other streams; the CPU runs it
at once. Both have the same interface, so that tests on a CPU run all code of the engine. (A third
device, in the tests, runs queued work in any order that the marks allow.)
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor

Work = Callable[[], None]
_WARM_UPS = 3
"""Runs before a recording: in the first ones libraries allocate memory and choose kernels."""


class Mark(Protocol):
    """A position in a stream's work; reached when all work before it is done."""

    def wait(self) -> None:
        """Let this thread sleep until the mark is reached; raises if the work before it failed."""
        ...

    def seconds_since(self, earlier: "Mark") -> float:
        """Return the time on the device between two marks of one stream, both reached."""
        ...


class Stream(Protocol):
    """Runs its work in the order in which it was queued."""

    def run(self, work: Work) -> None:
        """Queue work."""
        ...

    def mark(self) -> Mark:
        """Set a mark after all work queued so far."""
        ...

    def wait_for(self, mark: Mark) -> None:
        """Let work that is queued from now on begin after another stream's mark is reached."""
        ...


class Device(Protocol):
    """A processor that runs the model's program."""

    torch_name: str
    """Torch's name of it: "cpu", "cuda:0"."""

    def stream(self) -> Stream:
        """Open a stream."""
        ...

    def buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Allocate zeros in the device's memory."""
        ...

    def host_buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Allocate zeros in the machine's memory, from where the device copies by itself."""
        ...

    def record(self, work: Work, stream: Stream) -> Work:
        """Run the work until it is warm, and return a recording that does the same again."""
        ...

    def synchronise(self) -> None:
        """Wait for all work; raises if any of it failed."""
        ...

    def free_bytes(self) -> int:
        """Return the bytes of memory that are free now."""
        ...


class _HostMark:
    """A mark on the CPU. The work before it is done already."""

    def __init__(self) -> None:
        self.seconds = time.perf_counter()

    def wait(self) -> None:
        pass

    def seconds_since(self, earlier: Mark) -> float:
        assert isinstance(earlier, _HostMark)
        return self.seconds - earlier.seconds


class _HostStream:
    """A stream on the CPU: it runs work at once."""

    def run(self, work: Work) -> None:
        work()

    def mark(self) -> Mark:
        return _HostMark()

    def wait_for(self, mark: Mark) -> None:
        pass


class HostDevice:
    """The CPU as a device."""

    torch_name = "cpu"

    def stream(self) -> Stream:
        """Open a stream that runs its work at once."""
        return _HostStream()

    def buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Allocate zeros."""
        return torch.zeros(*shape, dtype=dtype)

    host_buffer = buffer

    def record(self, work: Work, stream: Stream) -> Work:
        """Run the work once, and return it."""
        work()
        return work

    def synchronise(self) -> None:
        """Do nothing: all work is done already."""

    def free_bytes(self) -> int:
        """Return the bytes of the machine's memory that are available."""
        import psutil

        return int(psutil.virtual_memory().available)


class _CudaMark:
    def __init__(self, stream: torch.cuda.Stream) -> None:
        # Blocking: a waiting thread sleeps, and its core can decode images.
        self.event = torch.cuda.Event(  # type: ignore[no-untyped-call]
            enable_timing=True, blocking=True
        )
        self.event.record(stream)

    def wait(self) -> None:
        self.event.synchronize()

    def seconds_since(self, earlier: Mark) -> float:
        assert isinstance(earlier, _CudaMark)
        return float(earlier.event.elapsed_time(self.event)) / 1000


class _CudaStream:
    def __init__(self, index: int) -> None:
        self.cuda = torch.cuda.Stream(index)  # type: ignore[no-untyped-call]

    def activate(self) -> AbstractContextManager[None]:
        """Make this stream, and its device, the current ones of this thread."""
        return torch.cuda.stream(self.cuda)

    def run(self, work: Work) -> None:
        with self.activate():
            work()

    def mark(self) -> Mark:
        with self.activate():
            return _CudaMark(self.cuda)

    def wait_for(self, mark: Mark) -> None:
        assert isinstance(mark, _CudaMark)
        with self.activate():
            self.cuda.wait_event(mark.event)


class CudaDevice:
    """One NVIDIA GPU."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.torch_name = f"cuda:{index}"
        with torch.cuda.device(index):
            self._pool = torch.cuda.graph_pool_handle()

    def stream(self) -> Stream:
        """Open a CUDA stream."""
        return _CudaStream(self.index)

    def buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Allocate zeros on the GPU."""
        return torch.zeros(*shape, dtype=dtype, device=self.torch_name)

    def host_buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Allocate zeros in pinned memory: a copy from pageable memory would block its thread."""
        return torch.zeros(*shape, dtype=dtype).pin_memory()

    def record(self, work: Work, stream: Stream) -> Work:
        """Record a CUDA graph, which starts hundreds of kernels by one call.

        All graphs of a device share one pool of memory: they are replayed on one stream, so they
        never run at the same time.
        """
        assert isinstance(stream, _CudaStream)
        for _ in range(_WARM_UPS):
            stream.run(work)
        self.synchronise()
        graph = torch.cuda.CUDAGraph()
        with (
            torch.cuda.device(self.index),
            torch.cuda.graph(
                graph,
                pool=self._pool,
                stream=stream.cuda,
                capture_error_mode="thread_local",
            ),
        ):
            work()
        return graph.replay

    def synchronise(self) -> None:
        """Wait for all work on this GPU; raises if any of it failed."""
        torch.cuda.synchronize(self.index)

    def free_bytes(self) -> int:
        """Return the bytes that the driver reports as free, for all processes together."""
        return torch.cuda.mem_get_info(self.index)[0]


def open_devices(device: str) -> list[Device]:
    """Open the devices that "cpu", "cuda" (all visible GPUs) or "cuda:1" stands for."""
    if device == "cpu":
        return [HostDevice()]
    if ":" in device:
        return [CudaDevice(int(device.partition(":")[2]))]
    return [CudaDevice(index) for index in range(torch.cuda.device_count())]
