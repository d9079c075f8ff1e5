"""The exported program (`torch.export`, .pt2): the successor of TorchScript."""

import warnings
from io import BytesIO

import torch
from torch.export import ExportedProgram
from torch.export.passes import move_to_device_pass

from service.engines.base import File
from service.engines.torch_module import TorchEngine, configure_torch


def load_program(file: File, device: str) -> ExportedProgram:
    """Read a .pt2 archive for a device, in torch's notation: "cpu", "cuda:0"."""
    with warnings.catch_warnings():
        # The reader of torch 2.11 warns of a buffer of its own that is only read.
        warnings.filterwarnings("ignore", "The given buffer is not writable", UserWarning)
        program = torch.export.load(BytesIO(file.read_bytes()))
    return program if device == "cpu" else move_to_device_pass(program, device)


def load(file: File, device: str, threads: int) -> TorchEngine:
    """Load a .pt2 archive."""
    configure_torch(threads)
    return TorchEngine(load_program(file, device).module(), device)
