"""How the exported program runs on one kind of device: as it is, by torch.compile, by AOTInductor.

Which is fastest depends on model and device, so it is measured (`service.artifact.compiled`) and
the outcome is part of the bundle: a record, and the package if AOTInductor won. A package is native
code for one kind of device and one torch; anywhere else the record is not found, and torch.compile
is taken on a GPU.
"""

import json
import logging
import platform
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch
import torch._inductor

from service.engines.exported_program import load_program
from service.gpu.staging import Program
from service.gpu.streams import CudaDevice, Device

log = logging.getLogger("service")

COMPILED_FOLDER = "compiled"
Method = Literal["program", "torch.compile", "AOTInductor"]
METHODS: tuple[Method, ...] = ("program", "torch.compile", "AOTInductor")


@dataclass(frozen=True, slots=True)
class Choice:
    """What runs the program, and why."""

    method: Method
    reason: str
    package: Path | None = None
    """Of AOTInductor."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A program on its device."""

    program: Program
    image_shape: tuple[int, ...]
    """Height, width, 3."""
    method: Method


def device_key(device: Device) -> str:
    """Names a kind of device with a torch: what was compiled for one key runs there only."""
    if isinstance(device, CudaDevice):
        major, minor = torch.cuda.get_device_capability(device.index)
        kind = f"{torch.cuda.get_device_name(device.index)} sm{major}{minor}"
    else:
        kind = f"cpu {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return re.sub(r"[^a-z0-9.]+", "-", f"{kind} torch {torch.__version__}".lower())


def choice_for(program: Path, device: Device) -> Choice:
    """What the bundle of `program` says of this device; it has been verified by now."""
    record = program.parent / COMPILED_FOLDER / f"{device_key(device)}.json"
    if record.is_file():
        found = json.loads(record.read_text("utf-8"))
        method = cast(Method, found["method"])
        package = record.with_suffix(".pt2") if method == "AOTInductor" else None
        return Choice(method, f"{method}, the fastest when compared on such a device", package)
    if device.torch_name == "cpu":
        return Choice("program", "the program as it is, as is usual on a CPU")
    return Choice(
        "torch.compile",
        "torch.compile; nothing was compiled for such a device "
        "(python -m service.artifact compile makes a start quicker, and may make it faster)",
    )


def prepare(path: Path, device: Device, choice: Choice) -> Prepared:
    """Load the program at `path` (.pt2) for a device.

    Where torch.compile finds no compiler, the program runs as it is, with a warning.
    """
    if choice.package is not None:
        index = device.index if isinstance(device, CudaDevice) else -1
        # Single-threaded, because what the package does between threads cannot be recorded as a
        # CUDA graph; the pipeline calls it from one thread at a time.
        package = torch._inductor.aoti_load_package(
            str(choice.package), run_single_threaded=True, device_index=index
        )
        record = json.loads(choice.package.with_suffix(".json").read_text("utf-8"))
        return Prepared(package, tuple(record["image_shape"]), "AOTInductor")
    exported = load_program(path, device.torch_name)
    shape = exported.example_inputs[0][0].shape[1:]
    module = exported.module()
    if choice.method == "torch.compile":
        try:
            return Prepared(_compiled(module, shape, device), tuple(shape), "torch.compile")
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            log.warning("load     torch.compile does not work here, so without it: %s", first)
    return Prepared(module, tuple(shape), "program")


def _compiled(module: torch.nn.Module, shape: torch.Size, device: Device) -> Program:
    """For batches of any size: one compilation for a single image, one for all others."""
    compiled = cast(Program, torch.compile(module, dynamic=True))
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # of torch's own internals; nobody can act on it
        for size in (1, 2, 3):
            compiled(device.buffer((size, *shape), torch.uint8))
        device.synchronise()
    return compiled
