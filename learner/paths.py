"""Where the workshop and the learner's folder are, and how a file is replaced."""

import os
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The repository."""
FOLDER_VARIABLE = "WORKSHOP_FOLDER"


def folder_path() -> Path:
    """Return the learner's folder, which may not exist yet: `my_work`, or WORKSHOP_FOLDER."""
    return Path(os.environ.get(FOLDER_VARIABLE) or ROOT / "my_work")


def write_atomically(path: Path, data: bytes) -> None:
    """Create or replace a file: readers see the old content or the new one, never a part.

    Missing parent folders are created.

    Raises:
        OSError: the file cannot be written; an old one is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, because a rename is atomic only within one file system.
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
