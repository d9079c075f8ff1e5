"""The bf16 form on a GPU: compiled, recorded as CUDA graphs by batch bucket, on all GPUs at once.

With the device "cpu" the same code runs there: no faster than other forms, but provable.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from service.engines.base import Images, Probabilities
from service.engines.torch_module import configure_torch
from service.gpu.compilation import Choice, Prepared, choice_for, prepare
from service.gpu.faults import check_memory, too_little_memory
from service.gpu.staging import SLOTS, DeviceTime, Pipeline
from service.gpu.streams import Device, open_devices

log = logging.getLogger("service")

BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)
CPU_BUCKETS = (1, 2, 4, 8)
_CONTEXT_BYTES = 600_000_000
"""What CUDA and its libraries take for themselves in a process, about."""


class DeviceEngine:
    """One program on one or several devices. Called from `lanes` threads at once."""

    def __init__(self, pipelines: Sequence[Pipeline], compiled_by: str) -> None:
        self._pipelines = list(pipelines)
        self._in_flight = [0] * len(self._pipelines)
        self._lock = threading.Lock()
        self.compiled_by = compiled_by
        self.runtime = f"torch {torch.__version__}, bf16, {compiled_by}"
        self.device = self._pipelines[0].device.torch_name.partition(":")[0]
        self.buckets = tuple(
            size
            for size in self._pipelines[0].buckets
            if all(size in one.buckets for one in self._pipelines)
        )
        """Batch sizes that cost what they are; others are padded up to the next."""

    @property
    def devices(self) -> int:
        """How many compute at the same time."""
        return len(self._pipelines)

    @property
    def lanes(self) -> int:
        """Batches at the same time: on each device one is computed while others are copied."""
        return SLOTS * len(self._pipelines)

    @property
    def pipelines(self) -> Sequence[Pipeline]:
        """One a device."""
        return tuple(self._pipelines)

    def __call__(self, images: Images) -> Probabilities:
        """Classify any number of images, cut into buckets; float32 N × classes.

        The images need not lie side by side: each is copied once, to where the device takes it.

        Raises:
            DeviceLostError: the device is gone.
        """
        most = self.buckets[-1]
        parts = []
        for start in range(0, len(images), most):
            with self._least_busy() as pipeline:
                parts.append(pipeline.run(images[start : start + most]))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def times(self) -> dict[tuple[str, int], DeviceTime]:
        """Time on each device since the start, by device and bucket."""
        return {
            (pipeline.device.torch_name, bucket): time
            for pipeline in self._pipelines
            for bucket, time in pipeline.times.items()
        }

    def check_health(self) -> str | None:
        """Why this engine cannot answer any more, or None. Cheap; asked each second."""
        for pipeline in self._pipelines:
            pipeline.health.look_for_hang()
            if pipeline.health.lost.is_set():
                return pipeline.health.reason
        return None

    @contextmanager
    def _least_busy(self) -> Iterator[Pipeline]:
        with self._lock:
            number = self._in_flight.index(min(self._in_flight))
            self._in_flight[number] += 1
        try:
            yield self._pipelines[number]
        finally:
            with self._lock:
                self._in_flight[number] -= 1


def load(path: Path, device: str, threads: int) -> DeviceEngine:
    """Load model.bf16.pt2, or what was compiled from it for this device.

    Raises:
        OperatorError: too little memory; says how much is needed and free.
    """
    configure_torch(threads)
    # Sums of products stay in fp32 to their end; parity was measured so.
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    devices = open_devices(device)
    choice = choice_for(path, devices[0])
    log.info("load     bf16: %s", choice.reason)
    return engine_of(path, devices, choice)


def engine_of(path: Path, devices: Sequence[Device], choice: Choice) -> DeviceEngine:
    """The engine for a program on these devices, all of one kind."""
    loaded = [_load_on(device, path, choice) for device in devices]
    methods = {prepared.method for prepared, _ in loaded}
    graphs = "" if devices[0].torch_name == "cpu" else ", CUDA graphs"
    return DeviceEngine([pipeline for _, pipeline in loaded], " and ".join(methods) + graphs)


def _load_on(device: Device, path: Path, choice: Choice) -> tuple[Prepared, Pipeline]:
    # Weights, as much again for the activations of the largest batch, and CUDA itself.
    needed = 2 * path.stat().st_size + (_CONTEXT_BYTES if device.torch_name != "cpu" else 0)
    check_memory(device, needed, f"form bf16 ({path.name})")
    buckets = CPU_BUCKETS if device.torch_name == "cpu" else BUCKETS
    try:
        prepared = prepare(path, device, choice)
        pipeline = Pipeline(device, prepared.program, prepared.image_shape, buckets)
    except torch.OutOfMemoryError as error:
        raise too_little_memory(device, needed, device.free_bytes(), "form bf16") from error
    if len(pipeline.buckets) < len(buckets):
        log.warning(
            "load     %s has memory for batches of up to %d only",
            device.torch_name,
            pipeline.buckets[-1],
        )
    return prepared, pipeline
