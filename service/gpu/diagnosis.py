"""Find out, without a CUDA context, why torch cannot compute on a GPU here."""

import ctypes
import logging
from dataclasses import dataclass

log = logging.getLogger("service")


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """The facts that decide whether torch can use the machine's GPUs."""

    driver_cuda: tuple[int, int] | None
    """Newest CUDA that the driver supports: (13, 2); None without a driver."""
    gpus: int
    """Number of GPUs that the driver shows to this process."""
    torch: str
    """Version of torch."""
    torch_cuda: str | None
    """Version of CUDA that torch was built with: "13.2"; None if it was built without."""
    torch_sees_gpus: bool
    capability: tuple[int, int] | None = None
    """Compute capability of the first GPU: (9, 0) for Hopper."""
    built_for: tuple[str, ...] = ()
    """Architectures for which torch holds kernels: ("sm_80", "sm_90", "compute_120")."""


def gpu_count() -> int:
    """Count the NVIDIA GPUs that the driver shows to this process (see CUDA_VISIBLE_DEVICES)."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0  # no driver
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def explain_obstacle() -> str | None:
    """Return why torch cannot compute on a GPU here, or None if it can; log it if there is a GPU.

    torch is imported only where the driver shows a GPU: its import costs a second.
    """
    if not gpu_count():
        return "the driver shows none"
    try:
        obstacle = find_obstacle(read_gpu_facts())
    except ImportError:
        obstacle = "there is one, but torch is not installed"
    if obstacle is not None:
        log.warning("match    %s; serving on the CPU", obstacle)
    return obstacle


def read_gpu_facts() -> GpuFacts:
    """Read the facts from driver and torch.

    Raises:
        ImportError: torch is not installed.
    """
    import torch

    available = torch.cuda.is_available()
    return GpuFacts(
        driver_cuda=read_driver_cuda(),
        gpus=gpu_count(),
        torch=torch.__version__,
        torch_cuda=torch.version.cuda,
        torch_sees_gpus=available,
        capability=torch.cuda.get_device_capability(0) if available else None,
        built_for=tuple(torch.cuda.get_arch_list()) if available else (),
    )


def read_driver_cuda() -> tuple[int, int] | None:
    """Return the newest CUDA version that the installed driver supports; None without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    version = ctypes.c_int()
    if driver.cuDriverGetVersion(ctypes.byref(version)) != 0:
        return None
    return version.value // 1000, version.value % 1000 // 10  # 13020 is 13.2


def find_obstacle(facts: GpuFacts) -> str | None:
    """Return why torch cannot use a GPU, and what to do about it; None if it can."""
    if facts.driver_cuda is None:
        return "there is no NVIDIA driver: install one, if there is an NVIDIA GPU"
    if facts.torch_cuda is None:
        return (
            f"torch {facts.torch} was built without CUDA: install the build with it "
            "(make setup door=workshop)"
        )
    if facts.driver_cuda[0] < int(facts.torch_cuda.partition(".")[0]):
        # Drivers and CUDA of one major version are compatible (docs.nvidia.com/deploy/
        # cuda-compatibility, "Minor Version Compatibility").
        newest = ".".join(map(str, facts.driver_cuda))
        return (
            f"the driver is too old: it supports CUDA {newest}, torch {facts.torch} was built for "
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
        capability = ".".join(map(str, facts.capability))
        return (
            f"torch {facts.torch} holds no kernels for a GPU of compute capability {capability}, "
            f"only for {', '.join(facts.built_for)}: install a torch that does, or use another GPU"
        )
    return None


def _has_kernels(facts: GpuFacts) -> bool:
    """Return whether torch has machine code of the GPU's major version, or PTX ("compute_")."""
    assert facts.capability is not None
    for architecture in facts.built_for:
        kind, _, digits = architecture.rstrip("af").partition("_")
        built = (int(digits[:-1]), int(digits[-1]))
        if kind == "sm" and built[0] == facts.capability[0] and built <= facts.capability:
            return True
        if kind == "compute" and built <= facts.capability:
            return True
    return False
