"""The learner's folder: everything that is theirs, out of version control's sight.

Updates of the workshop never touch it, and what is written there is written whole or not at all.
"""

import json
import time
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from learner.errors import LearnerError
from learner.language import _
from learner.paths import FOLDER_VARIABLE, folder_path, write_atomically

Content = TypeVar("Content", bound=BaseModel)


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
    _begin_anew(path)
    return {}


def read_model(name: str, model: type[Content]) -> Content:
    """File `name` of the folder, as a model; an empty one if there is none.

    A file that does not fit is treated as `read_json` treats a damaged one.
    """
    content = read_json(name)
    try:
        return model.model_validate(content) if content else model()
    except ValidationError:
        _begin_anew(folder() / name)
        return model()


def write_json(name: str, content: dict[str, Any]) -> None:
    """Replace file `name` of the folder, whole or not at all.

    Raises:
        LearnerError: it cannot be written.
    """
    path = folder() / name
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise LearnerError(_cannot_write(path, error)) from None


def set_aside(path: Path, why: str) -> Path:
    """Rename a file or folder so that nothing is in its place any more; the new path.

    Raises:
        LearnerError: it cannot be renamed.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S")
    stem, suffix = (path.name, "") if path.is_dir() else (path.stem, path.suffix)
    aside = path.with_name(f"{stem}.{why}-{stamp}{suffix}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{stem}.{why}-{stamp}-{number}{suffix}")
    try:
        path.rename(aside)
    except OSError as error:
        raise LearnerError(
            _("Cannot rename {path}: {reason}").format(path=path, reason=error.strerror or error)
        ) from None
    return aside


def _begin_anew(path: Path) -> None:
    aside = set_aside(path, "damaged")
    print(
        _("{file} was damaged. It is kept as {aside}; a new one begins here.").format(
            file=path.name, aside=aside.name
        )
    )


def _cannot_write(path: Path, error: OSError) -> str:
    return _(
        "Cannot write to {path}: {reason}. Make room, or set {variable} to another folder."
    ).format(path=path, reason=error.strerror, variable=FOLDER_VARIABLE)
