"""A copy of an artifact in which one bit is flipped."""

import shutil
from pathlib import Path

from service.artifact.manifest import MANIFEST, Manifest


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
