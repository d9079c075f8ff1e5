"""Check that the installed torch and torchvision fit together.

torchvision is compiled for one exact version of torch. With another one it installs without an
error and then breaks at import ("operator torchvision::nms does not exist"). Its metadata names the
torch that it needs, so the check takes milliseconds and imports neither of them.

`python -m service.engines.torch_versions` prints the answer and then imports the two.
"""

import re
import sys
from importlib import metadata

from service.errors import OperatorError


def check_torch_pair() -> str:
    """Return "torch X, torchvision Y" if the installed pair fits.

    Raises:
        OperatorError: one of the two is missing, or torchvision was built for another torch.
    """
    versions = {}
    for package in ("torch", "torchvision"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            raise OperatorError(
                f"{package} is not installed, and this needs it. "
                "Install the locked environment: make setup door=workshop"
            ) from None
    wanted = _torch_wanted_by_torchvision()
    found = versions["torch"].split("+")[0]  # "2.13.0+cpu" is 2.13.0 built without CUDA
    if wanted is not None and wanted != found:
        raise OperatorError(
            f"torchvision {versions['torchvision']} was built for torch {wanted}, "
            f"but torch {versions['torch']} is installed. Fix: pip install torch=={wanted}, "
            "or make setup door=workshop for the locked pair"
        )
    return f"torch {versions['torch']}, torchvision {versions['torchvision']}"


def _torch_wanted_by_torchvision() -> str | None:
    """Return X of torchvision's `Requires-Dist: torch==X`, or None if it requires no exact one."""
    for requirement in metadata.requires("torchvision") or []:
        match = re.fullmatch(r"torch\s*\(?==\s*([^\s,;)]+)\)?", requirement.split(";")[0].strip())
        if match:
            return match[1]
    return None


def main() -> None:
    """Print the two versions, or exit with the error."""
    try:
        pair = check_torch_pair()
    except OperatorError as error:
        sys.exit(f"error: {error}")
    import torchvision  # noqa: F401  (the import is the check)

    print(f"{pair}: they import together")


if __name__ == "__main__":
    main()
