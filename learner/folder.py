"""The learner's folder: guesses, progress, copies of the lessons, their own service.

Git ignores it, and updates of the workshop do not touch it. Files are written atomically.
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
    """Return the learner's folder: `my_work`, or WORKSHOP_FOLDER. It is created if needed.

    Raises:
        LearnerError: it cannot be created.
    """
    path = folder_path()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LearnerError(_cannot_write(path, error)) from None
    return path


def read_json(name: str) -> dict[str, Any]:
    """Return the JSON object in file `name` of the folder; an empty one if there is no file.

    A damaged file is renamed, not overwritten, and a message tells the learner.
    """
    path = folder() / name
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        content = None
    if isinstance(content, dict):
        return content
    _set_aside_damaged(path)
    return {}


def read_model(name: str, model: type[Content]) -> Content:
    """Return file `name` of the folder as a model; an empty model if there is no file.

    A file that does not fit the model counts as damaged, as in `read_json`.
    """
    content = read_json(name)
    try:
        return model.model_validate(content) if content else model()
    except ValidationError:
        _set_aside_damaged(folder() / name)
        return model()


def write_json(name: str, content: dict[str, Any]) -> None:
    """Write a JSON object to file `name` of the folder, atomically.

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
    """Rename a file or folder to `NAME.WHY-TIME`, and return the new path.

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


def _set_aside_damaged(path: Path) -> None:
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
