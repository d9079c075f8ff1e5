"""Copies right submissions, and plants faults in the copies."""

import shutil
from pathlib import Path

from learner.paths import ROOT
from tests.selftest.edits import EditError, replaces
from tests.selftest.faults import Base, Fault

SUBMISSION = Path(__file__).with_name("submission")
REFERENCE = ROOT / "challenges" / "minimal_service" / "reference"
_NOT_CODE = shutil.ignore_patterns("__pycache__", ".mypy_cache", ".ruff_cache")


def copy_base(base: Base, folder: Path) -> Path:
    """Copy a right submission, with all that it includes, to a new folder.

    Raises:
        EditError: the reference's service.toml has changed.
    """
    if base == "submission":
        return Path(shutil.copytree(SUBMISSION, folder, ignore=_NOT_CODE))
    shutil.copytree(REFERENCE, folder, ignore=_NOT_CODE)
    replaces("service.toml", 'include = ["service"]\n', "")(folder)
    shutil.copytree(ROOT / "service", folder / "service", ignore=_NOT_CODE)
    return folder


def plant(fault: Fault, base: Path, folder: Path) -> Path:
    """Copy the folder `base` to `folder`, and plant the fault there.

    A built artifact is copied, too; the grader builds it again if the fault needs that.

    Raises:
        EditError: the edit does not apply to the present code; names the fault.
    """
    shutil.copytree(base, folder, ignore=_NOT_CODE)
    try:
        fault.edit(folder)
    except EditError as error:
        raise EditError(f"{fault.name}: {error}") from None
    return folder
