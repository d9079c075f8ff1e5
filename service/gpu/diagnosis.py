"""Why torch cannot compute on a GPU here, in a sentence; found without a CUDA context."""

import ctypes
from dataclasses import dataclass

from service.machine import gpu_count


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """What decides whether torch can use the machine's GPUs."""

    driver_cuda: tuple[int, int] | None
    """Newest CUDA that the driver supports: (13, 2); None without a driver."""
    gpus: int
    """That the driver shows to this process."""
    torch: str
    """Its version."""
    torch_cuda: str | None
    """CUDA that torch was built with: "13.2"; None if without."""
    torch_sees_gpus: bool
    capability: tuple[int, int] | None = None
    """Of the first GPU: (9, 0) of a Hopper."""
    built_for: tuple[str, ...] = ()
    """Architectures that torch holds kernels for: ("sm_80", "sm_90", "compute_120")."""


def gpu_facts() -> GpuFacts:
    """Ask driver and torch. Imports torch; raises ImportError where it is not installed."""
    import torch

    available = torch.cuda.is_available()
    return GpuFacts(
        driver_cuda=driver_cuda_version(),
        gpus=gpu_count(),
        torch=torch.__version__,
        torch_cuda=torch.version.cuda,
        torch_sees_gpus=available,
        capability=torch.cuda.get_device_capability(0) if available else None,
        built_for=tuple(torch.cuda.get_arch_list()) if available else (),
    )


def driver_cuda_version() -> tuple[int, int] | None:
    """The newest CUDA that the installed driver supports."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    version = ctypes.c_int()
    if driver.cuDriverGetVersion(ctypes.byref(version)) != 0:
        return None
    return version.value // 1000, version.value % 1000 // 10  # 13020 is 13.2


def obstacle_of(facts: GpuFacts) -> str | None:
    """What stands between torch and a GPU, what was expected, what to do; None if nothing does."""
    if facts.driver_cuda is None:
        return "there is no NVIDIA driver: install one, if there is an NVIDIA GPU"
    if facts.torch_cuda is None:
        return f"torch {facts.torch} was built without CUDA: install the build with it (make setup)"
    if facts.driver_cuda[0] < int(facts.torch_cuda.partition(".")[0]):
        # Within a major version drivers and CUDA go together (docs.nvidia.com/deploy/
        # cuda-compatibility, "Minor Version Compatibility").
        found = ".".join(map(str, facts.driver_cuda))
        return (
            f"the driver is too old: it supports CUDA {found}, torch {facts.torch} was built for "
            f"CUDA {facts.torch_cuda}. Update the driver, or install a torch built for CUDA "
            f"{facts.driver_cuda[0]} (pytorch.org/get-started)"
        )
    if not facts.gpus:
        return "the driver shows none to this process (CUDA_VISIBLE_DEVICES, or the container)"
    if not facts.torch_sees_gpus:
        return (
            f"there is one, but torch {facts.torch} cannot use it: nvidia-smi and "
            "`python -c 'import torch; torch.zeros(1).cuda()'` say why"
        )
    if facts.capability is not None and facts.built_for and not _has_kernels(facts):
        found = ".".join(map(str, facts.capability))
        return (
            f"torch {facts.torch} holds no kernels for a GPU of compute capability {found}, only "
            f"for {', '.join(facts.built_for)}: install a torch that does, or use another GPU"
        )
    return None


def _has_kernels(facts: GpuFacts) -> bool:
    """Machine code runs on its own major version; PTX ("compute_") on anything newer too."""
    assert facts.capability is not None
    for architecture in facts.built_for:
        kind, _, digits = architecture.rstrip("af").partition("_")
        built = (int(digits[:-1]), int(digits[-1]))
        if kind == "sm" and built[0] == facts.capability[0] and built <= facts.capability:
            return True
        if kind == "compute" and built <= facts.capability:
            return True
    return False
