"""The TorchScript form: a graph that runs without the architecture's Python code.

It is deprecated since torch 2.10 and unsupported from Python 3.14 on. It is kept because the format
is in wide use. Its successor is the exported program.
"""

import warnings
from io import BytesIO

import torch

from service.engines.base import File
from service.engines.torch_module import TorchEngine, configure_torch


def load(file: File, device: str, threads: int) -> TorchEngine:
    """Load a TorchScript archive."""
    configure_torch(threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the deprecation; the category varies with the release
        module = torch.jit.load(BytesIO(file.read_bytes()), map_location=device)  # type: ignore[no-untyped-call]
        module = torch.jit.freeze(module.eval())
    return TorchEngine(module, device)
