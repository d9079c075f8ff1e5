"""The exported program (`torch.export`, .pt2): the successor of TorchScript."""

from pathlib import Path

import torch
from torch.export.passes import move_to_device_pass

from service.engines.torch_module import TorchEngine, configure_torch


def load(path: Path, device: str, threads: int) -> TorchEngine:
    """Load a .pt2 archive."""
    configure_torch(threads)
    program = torch.export.load(path)
    if device != "cpu":
        program = move_to_device_pass(program, device)
    return TorchEngine(program.module(), device)
