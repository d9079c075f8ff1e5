"""What the three fp32 torch forms share: settings of torch, and an engine around a module."""

from collections.abc import Callable

import torch
from torch import Tensor

from service.engines.base import Images, Probabilities, stack


def configure_torch(threads: int) -> None:
    """Set torch's number of threads, and keep fp32 at full precision.

    By default, torch lets convolutions on a GPU round to TF32 (10 bits of mantissa), which is not
    the arithmetic that the artifact was validated with.
    """
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


class TorchEngine:
    """Runs a module that maps a uint8 tensor of pixels to a float32 tensor of probabilities."""

    def __init__(self, module: Callable[[Tensor], Tensor], device: str) -> None:
        self._module = module
        self.runtime = f"torch {torch.__version__}"
        self.device = device

    def __call__(self, images: Images) -> Probabilities:
        """Classify uint8 images; float32 N × classes."""
        with torch.inference_mode():
            # uint8 crosses the bus: a quarter of the bytes of normalised floats.
            batch = torch.from_numpy(stack(images)).to(self.device)
            return self._module(batch).cpu().numpy()
