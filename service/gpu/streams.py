"""What the device engine needs of a device: streams of work, marks in them, buffers, recordings.

Two devices have the same face. On a GPU work is queued and runs later, side by side with what other
streams do; on the CPU it runs at once. So the engine's own code is one, and tests on a CPU run all
of it. (A third device, in the tests, runs queued work in any order that the marks allow.)
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor

Work = Callable[[], None]
_WARM_UPS = 3
"""Runs before a recording: libraries take their memory and choose their kernels in the first."""


class Mark(Protocol):
    """A moment in a stream's work."""

    def wait(self) -> None:
        """Let this thread sleep until the work before the mark is done; raises if it failed."""
        ...

    def seconds_since(self, earlier: "Mark") -> float:
        """Time on the device between two marks of one stream that both have been reached."""
        ...


class Stream(Protocol):
    """Work that is done in order."""

    def run(self, work: Work) -> None:
        """Queue it."""
        ...

    def mark(self) -> Mark:
        """A mark after all that was queued so far."""
        ...

    def wait_for(self, mark: Mark) -> None:
        """Begin what is queued from now on only after another stream's mark."""
        ...


class Device(Protocol):
    """Where a program runs."""

    torch_name: str
    """As torch calls it: "cpu", "cuda:0"."""

    def stream(self) -> Stream:
        """A new stream."""
        ...

    def buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Zeros in the device's memory."""
        ...

    def host_buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Zeros in the machine's memory, from where the device can copy by itself."""
        ...

    def record(self, work: Work, stream: Stream) -> Work:
        """Run the work often enough to be warm, and return what does the same again."""
        ...

    def synchronise(self) -> None:
        """Wait for all work; raises if any of it failed."""
        ...

    def free_bytes(self) -> int:
        """Memory that is free now."""
        ...


class _Moment:
    """A mark on the CPU: all before it has happened already."""

    def __init__(self) -> None:
        self.seconds = time.perf_counter()

    def wait(self) -> None:
        """Nothing is outstanding."""

    def seconds_since(self, earlier: Mark) -> float:
        """Wall time."""
        assert isinstance(earlier, _Moment)
        return self.seconds - earlier.seconds


class _AtOnce:
    """A stream on the CPU."""

    def run(self, work: Work) -> None:
        """Do it."""
        work()

    def mark(self) -> Mark:
        """Now."""
        return _Moment()

    def wait_for(self, mark: Mark) -> None:
        """It has been reached."""


class HostDevice:
    """The CPU, as a device."""

    torch_name = "cpu"

    def stream(self) -> Stream:
        """A stream whose work is done when it is queued."""
        return _AtOnce()

    def buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Zeros."""
        return torch.zeros(*shape, dtype=dtype)

    def host_buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Zeros."""
        return torch.zeros(*shape, dtype=dtype)

    def record(self, work: Work, stream: Stream) -> Work:
        """The work itself."""
        work()
        return work

    def synchronise(self) -> None:
        """Nothing is outstanding."""

    def free_bytes(self) -> int:
        """Of the machine's memory."""
        import psutil

        return int(psutil.virtual_memory().available)


class _CudaMark:
    def __init__(self, stream: torch.cuda.Stream) -> None:
        # Blocking: a waiting thread sleeps, and leaves its core to the decoding of images.
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

    def on(self) -> AbstractContextManager[None]:
        """Makes it this thread's stream, and its device this thread's device."""
        return torch.cuda.stream(self.cuda)

    def run(self, work: Work) -> None:
        with self.on():
            work()

    def mark(self) -> Mark:
        with self.on():
            return _CudaMark(self.cuda)

    def wait_for(self, mark: Mark) -> None:
        assert isinstance(mark, _CudaMark)
        with self.on():
            self.cuda.wait_event(mark.event)


class CudaDevice:
    """One NVIDIA GPU."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.torch_name = f"cuda:{index}"
        with torch.cuda.device(index):
            self._pool = torch.cuda.graph_pool_handle()

    def stream(self) -> Stream:
        """A CUDA stream."""
        return _CudaStream(self.index)

    def buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Zeros on the GPU."""
        return torch.zeros(*shape, dtype=dtype, device=self.torch_name)

    def host_buffer(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Zeros in pinned memory: a copy from pageable memory would make its thread wait."""
        return torch.zeros(*shape, dtype=dtype).pin_memory()

    def record(self, work: Work, stream: Stream) -> Work:
        """A CUDA graph: hundreds of kernels are started by one call instead of one by one.

        All graphs of a device share one pool of memory: they never run at the same time, since
        they are replayed on one stream.
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
        """Wait for everything on this GPU."""
        torch.cuda.synchronize(self.index)

    def free_bytes(self) -> int:
        """What the driver says is free, for all processes together."""
        return torch.cuda.mem_get_info(self.index)[0]


def open_devices(device: str) -> list[Device]:
    """The devices that "cpu", "cuda" (all that are visible) or "cuda:1" stands for."""
    if device == "cpu":
        return [HostDevice()]
    if ":" in device:
        return [CudaDevice(int(device.partition(":")[2]))]
    return [CudaDevice(index) for index in range(torch.cuda.device_count())]
