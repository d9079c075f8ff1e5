"""The learner's folder: everything that is theirs, out of version control's sight.

Updates of the workshop never touch it, and what is written there is written whole or not at all.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from learner.errors import LearnerError
from learner.language import _
from learner.places import FOLDER_VARIABLE, folder_path


def folder() -> Path:
    """Where the learner's work lies: `my_work`, or what WORKSHOP_FOLDER names. Created if needed.

    Raises:
        LearnerError: it cannot be written to.
    """
    path = folder_path()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LearnerError(_cannot_write(path, error)) from None
    return path


def read_json(name: str) -> dict[str, Any]:
    """The object in file `name` of the folder; empty if there is none.

    A damaged file is kept aside under another name, never overwritten, and the learner is told.
    """
    path = folder() / name
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        found = None
    if isinstance(found, dict):
        return found
    aside = path.with_name(f"{path.stem}.damaged-{time.strftime('%Y%m%d-%H%M%S')}{path.suffix}")
    path.rename(aside)
    print(
        _("{file} was damaged. It is kept as {aside}; a new one begins here.").format(
            file=path.name, aside=aside.name
        )
    )
    return {}


def write_json(name: str, content: dict[str, Any]) -> None:
    """Replace file `name` of the folder, whole or not at all.

    Raises:
        LearnerError: it cannot be written.
    """
    path = folder() / name
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise LearnerError(_cannot_write(path, error)) from None


def _cannot_write(path: Path, error: OSError) -> str:
    return _(
        "Cannot write to {path}: {reason}. Make room, or set {variable} to another folder."
    ).format(path=path, reason=error.strerror, variable=FOLDER_VARIABLE)
