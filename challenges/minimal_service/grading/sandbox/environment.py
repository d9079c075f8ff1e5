"""The environment of a submission: the installed packages, and nothing of the grader."""

import os
import sys
import sysconfig
import venv
from pathlib import Path

PASSED_ON = ("CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "NVIDIA_VISIBLE_DEVICES")
"""Variables that describe the machine, not the grade."""


def make_python(folder: Path) -> Path:
    """Return a Python that finds the workshop's installed packages, but not the workshop itself.

    The workshop's own environment has an "editable" install, through which every program finds
    `challenges` and `service` wherever it runs. This environment borrows the folder of packages
    without the files in it that set that up (a path in a .pth file is not searched for others).

    Args:
        folder: where the environment is made; it must not exist.

    Returns:
        The interpreter; `python` in the same folder is the same.
    """
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    own = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(own, "workshop.pth").write_text("\n".join(sorted(packages)) + "\n", "utf-8")
    share = Path(sys.prefix, "share")
    if share.is_dir() and not (folder / "share").exists():
        (folder / "share").symlink_to(share)  # data of packages: nbconvert's templates lie there
    return folder / "bin" / "python"


def clean_environment(python: Path, home: Path) -> dict[str, str]:
    """Return the variables of a submission's processes.

    Args:
        python: of `make_python`.
        home: an empty folder for whatever they write.
    """
    return {
        "PATH": os.pathsep.join([str(python.parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
    }
