"""The engine of the bf16 form: CUDA graphs by batch bucket, on all GPUs at once.

With the device "cpu" the same code runs on the CPU: not faster than other forms, but testable.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from service.engines.base import File, Images, Probabilities
from service.engines.torch_module import configure_torch
from service.errors import OperatorError
from service.gpu.compilation import Choice, PreparedProgram, prepare, read_choice
from service.gpu.metrics import DeviceTime
from service.gpu.staging import SLOTS, Pipeline
from service.gpu.streams import Device, open_devices

log = logging.getLogger("service")

BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)
CPU_BUCKETS = (1, 2, 4, 8)
_CONTEXT_BYTES = 600_000_000
"""Approximate memory that CUDA and its libraries take in a process."""


class DeviceEngine:
    """Runs one program on one or several devices. Called from `lanes` threads at once."""

    def __init__(self, pipelines: Sequence[Pipeline], compiled_by: str) -> None:
        """Take one pipeline for each device, all of the same program.

        Args:
            pipelines: one for each device.
            compiled_by: the method that compiled the program, for the operator.
        """
        self._pipelines = list(pipelines)
        self._in_flight = [0] * len(self._pipelines)
        self._lock = threading.Lock()
        self.compiled_by = compiled_by
        self.runtime = f"torch {torch.__version__}, bf16, {compiled_by}"
        self.device = self.torch_names[0].partition(":")[0]
        self.buckets = tuple(
            size
            for size in self._pipelines[0].buckets
            if all(size in one.buckets for one in self._pipelines)
        )
        """Batch sizes that need no padding, ascending."""

    @property
    def torch_names(self) -> tuple[str, ...]:
        """Torch's name of each device: ("cuda:0", "cuda:1")."""
        return tuple(pipeline.device.torch_name for pipeline in self._pipelines)

    @property
    def devices(self) -> int:
        """The number of devices: as many batches are computed at the same time."""
        return len(self._pipelines)

    @property
    def lanes(self) -> int:
        """Batches under way at the same time: each device computes one and copies the others."""
        return SLOTS * len(self._pipelines)

    def __call__(self, images: Images) -> Probabilities:
        """Classify any number of images, cut into buckets; returns float32 N × classes.

        The images need not be contiguous: each is copied once, to where the device takes it.

        Raises:
            DeviceLostError: the device is lost.
        """
        most = self.buckets[-1]
        parts = []
        for start in range(0, len(images), most):
            with self._reserve() as pipeline:
                parts.append(pipeline.run(images[start : start + most]))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def times(self) -> dict[tuple[str, int], DeviceTime]:
        """Return the time on the devices since the start, by device and bucket."""
        return {
            (pipeline.device.torch_name, bucket): time
            for pipeline in self._pipelines
            for bucket, time in pipeline.times.items()
        }

    def check_health(self) -> str | None:
        """Return why this engine cannot answer any more, or None. Cheap; called each second."""
        for pipeline in self._pipelines:
            pipeline.health.check_for_hang()
            if pipeline.health.lost.is_set():
                return pipeline.health.reason
        return None

    @contextmanager
    def _reserve(self) -> Iterator[Pipeline]:
        """Yield the pipeline with the fewest batches, and count one more on it."""
        with self._lock:
            number = self._in_flight.index(min(self._in_flight))
            self._in_flight[number] += 1
        try:
            yield self._pipelines[number]
        finally:
            with self._lock:
                self._in_flight[number] -= 1


def load(file: File, device: str, threads: int) -> DeviceEngine:
    """Load model.bf16.pt2, or the package that was compiled from it for this device.

    Raises:
        OperatorError: too little memory; says how much is needed and free.
    """
    configure_torch(threads)
    # Accumulate in fp32: parity was measured this way.
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    devices = open_devices(device)
    choice = read_choice(file, devices[0])
    log.info("load     bf16: %s", choice.reason)
    return make_engine(file, devices, choice)


def make_engine(file: File, devices: Sequence[Device], choice: Choice) -> DeviceEngine:
    """Load the program `file` on these devices, which are all of one kind."""
    loaded = [_load_on(device, file, choice) for device in devices]
    methods = {prepared.method for prepared, _ in loaded}
    graphs = "" if devices[0].torch_name == "cpu" else ", CUDA graphs"
    return DeviceEngine([pipeline for _, pipeline in loaded], " and ".join(methods) + graphs)


def _load_on(device: Device, file: File, choice: Choice) -> tuple[PreparedProgram, Pipeline]:
    # Weights, as much again for the activations of the largest batch, and CUDA itself.
    needed = 2 * len(file.read_bytes()) + (_CONTEXT_BYTES if device.torch_name != "cpu" else 0)
    free = device.free_bytes()
    if free < needed:
        raise _explain_memory(device, needed, free, f"form bf16 ({file.name})")
    buckets = CPU_BUCKETS if device.torch_name == "cpu" else BUCKETS
    try:
        prepared = prepare(file, device, choice)
        pipeline = Pipeline(device, prepared.program, prepared.image_shape, buckets)
    except torch.OutOfMemoryError as error:
        raise _explain_memory(device, needed, device.free_bytes(), "form bf16") from error
    if len(pipeline.buckets) < len(buckets):
        log.warning(
            "load     %s has memory for batches of up to %d only",
            device.torch_name,
            pipeline.buckets[-1],
        )
    return prepared, pipeline


def _explain_memory(device: Device, needed: int, free: int, what: str) -> OperatorError:
    """Say in one line how many bytes are needed and free, and what to do."""
    return OperatorError(
        f"{device.torch_name} has too little free memory: {what} needs about "
        f"{needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free. Stop what else uses it (nvidia-smi "
        "lists it), choose another GPU (CUDA_VISIBLE_DEVICES), or serve on the CPU (--device cpu)"
    )
