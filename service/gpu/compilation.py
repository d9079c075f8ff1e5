"""Prepare the exported program for a device: as it is, by torch.compile, or by AOTInductor.

Which method is fastest depends on model and device. `service.artifact.compiled` measures it, and
adds the result to the bundle: a record, and the package if AOTInductor is fastest. A package is
native code for one kind of device and one version of torch. Where no record fits the device, a GPU
uses torch.compile.
"""

import json
import logging
import platform
import re
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import Literal, cast

import torch
import torch._inductor

from service.engines.base import File
from service.engines.exported_program import load_program
from service.errors import write_command
from service.gpu.staging import Program
from service.gpu.streams import CudaDevice, Device

log = logging.getLogger("service")

COMPILED_FOLDER = "compiled"
Method = Literal["program", "torch.compile", "AOTInductor"]
METHODS: tuple[Method, ...] = ("program", "torch.compile", "AOTInductor")


@dataclass(frozen=True, slots=True)
class Choice:
    """The method that runs the program, and the reason."""

    method: Method
    reason: str
    package: File | None = None
    """The file that AOTInductor wrote, if that is the method."""


@dataclass(frozen=True, slots=True)
class PreparedProgram:
    """A program that is loaded on its device."""

    program: Program
    image_shape: tuple[int, ...]
    """Height, width, 3."""
    method: Method


def device_key(device: Device) -> str:
    """Return a name for the kind of device and the version of torch, which a package must match."""
    if isinstance(device, CudaDevice):
        major, minor = torch.cuda.get_device_capability(device.index)
        kind = f"{torch.cuda.get_device_name(device.index)} sm{major}{minor}"
    else:
        kind = f"cpu {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return re.sub(r"[^a-z0-9.]+", "-", f"{kind} torch {torch.__version__}".lower())


def read_choice(program: File, device: Device) -> Choice:
    """Choose the method that the bundle of `program` records for such a device, or the default.

    The bundle must have been verified before.
    """
    folder, key = program.parent / COMPILED_FOLDER, device_key(device)
    if (folder / f"{key}.json").is_file():
        record = json.loads((folder / f"{key}.json").read_bytes())
        method = cast(Method, record["method"])
        package = folder / f"{key}.pt2" if method == "AOTInductor" else None
        return Choice(method, f"{method}, the fastest when compared on such a device", package)
    if device.torch_name == "cpu":
        return Choice("program", "the program as it is, as is usual on a CPU")
    return Choice(
        "torch.compile",
        "torch.compile; nothing was compiled for such a device "
        f"({write_command('service.artifact compile')} makes a start quicker, and may make it "
        "faster)",
    )


def prepare(file: File, device: Device, choice: Choice) -> PreparedProgram:
    """Load the program `file` (.pt2) on a device.

    If torch.compile finds no compiler, the program runs as it is, with a warning.
    """
    if choice.package is not None:
        index = device.index if isinstance(device, CudaDevice) else -1
        # Single-threaded: the package's synchronisation between threads cannot be recorded as a
        # CUDA graph, and the pipeline calls it from one thread at a time.
        package = torch._inductor.aoti_load_package(
            BytesIO(choice.package.read_bytes()), run_single_threaded=True, device_index=index
        )
        name = choice.package.name.removesuffix(".pt2") + ".json"
        record = json.loads((choice.package.parent / name).read_bytes())
        return PreparedProgram(package, tuple(record["image_shape"]), "AOTInductor")
    exported = load_program(file, device.torch_name)
    shape = exported.example_inputs[0][0].shape[1:]
    module = exported.module()
    if choice.method == "torch.compile":
        try:
            compiled = _compile(module, shape, device)
            return PreparedProgram(compiled, tuple(shape), "torch.compile")
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            log.warning("load     torch.compile does not work here, so without it: %s", first)
    return PreparedProgram(module, tuple(shape), "program")


def _compile(module: torch.nn.Module, shape: torch.Size, device: Device) -> Program:
    """Compile for batches of any size: once for a single image, once for all other sizes."""
    compiled = cast(Program, torch.compile(module, dynamic=True))
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter(
            "ignore"
        )  # about torch's own internals: the operator cannot act on them
        for size in (1, 2, 3):
            compiled(device.buffer((size, *shape), torch.uint8))
        device.synchronise()
    return compiled
