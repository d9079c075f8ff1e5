"""A copy of an artifact with one bit flipped, which outlives nobody."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from service.artifact.manifest import MANIFEST, Manifest

_JANITOR = (
    "import os, shutil, sys\n"
    "sys.stdin.buffer.read()\n"  # until whoever holds the other end of the pipe is gone
    "shutil.rmtree(sys.argv[1], ignore_errors=True)\n"
)
"""Runs beside us in a session of its own: a kernel that is killed cannot tidy up any more."""


class TemporaryFolder:
    """A folder that is deleted on `remove`, and also when this process ends, however it ends."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="workshop-panel-"))
        self._janitor = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _JANITOR, str(self.path)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def remove(self) -> None:
        """Delete the folder and all in it."""
        assert self._janitor.stdin is not None
        self._janitor.stdin.close()
        self._janitor.wait()
        shutil.rmtree(self.path, ignore_errors=True)  # what was written while it was deleted


def copy_with_a_flipped_bit(artifact: Path, folder: Path) -> tuple[Path, str]:
    """Copy a bundle into `folder`, and flip one bit of the form that is served by default.

    Returns:
        The copy, and the name of the file that differs.

    Raises:
        OSError: no room, or the bundle cannot be read.
    """
    copy = Path(shutil.copytree(artifact, folder / "artifact"))
    manifest = Manifest.model_validate_json((copy / MANIFEST).read_bytes())
    name = manifest.forms[manifest.default_form].file
    with (copy / name).open("r+b") as file:
        middle = file.seek(0, 2) // 2
        file.seek(middle)
        byte = file.read(1)[0]
        file.seek(middle)
        file.write(bytes([byte ^ 1]))
    return copy, name
