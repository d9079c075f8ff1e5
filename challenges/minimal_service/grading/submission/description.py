"""Reads service.toml, the description of a submission, and checks it before anything is run."""

import tomllib
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from learner.errors import LearnerError
from learner.language import _

DESCRIPTION = "service.toml"
INCLUDABLE = "service"
"""The one folder of the repository that a submission may build on: the reference service."""
_Text = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Modules(_Part):
    """The three modules, files relative to the folder."""

    preprocessing: _Text
    model_definition: _Text
    inference_runner: _Text


class Description(_Part):
    """The content of service.toml."""

    start: list[_Text] = Field(min_length=1)
    build: list[_Text] | None = Field(None, min_length=1)
    artifact: _Text
    weights: list[_Text] = Field(min_length=1)
    modules: Modules
    container: _Text | None = None
    training: list[_Text] = []
    include: list[_Text] = []
    built_from: list[_Text] = []
    """Patterns of the files that the build depends on; all files if not given."""

    def paths(self) -> dict[str, str]:
        """Return every path that must lie in the folder, by its key."""
        named = {f"modules.{name}": path for name, path in self.modules.model_dump().items()}
        if self.container is not None:
            named["container"] = self.container
        if not Path(self.artifact).is_absolute() and not self.artifact.startswith("{root}/"):
            named["artifact"] = self.artifact
        return named | {f"training[{i}]": path for i, path in enumerate(self.training)}


def read_description(folder: Path) -> Description:
    """Read and check a folder's service.toml.

    Raises:
        LearnerError: there is none, it is not TOML, or a key is missing, unknown or unusable.
    """
    path = folder / DESCRIPTION
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        sentence = _(
            "{folder} has no {file}, so it is no submission. `make challenge` makes a folder "
            "that has one."
        )
        raise LearnerError(sentence.format(folder=folder, file=DESCRIPTION)) from None
    except OSError as error:
        sentence = _("{path} cannot be read: {reason}.")
        raise LearnerError(sentence.format(path=path, reason=error.strerror)) from None
    except ValueError as error:  # also of the encoding
        sentence = _("{path} is not valid TOML: {reason}. Correct that line.")
        raise LearnerError(sentence.format(path=path, reason=error)) from None
    try:
        description = Description.model_validate(content)
    except ValidationError as error:
        raise LearnerError(_sentence(path, error)) from None
    _check(path, description)
    return description


def _sentence(path: Path, error: ValidationError) -> str:
    # A misspelt key is also a missing one; the misspelling explains more.
    fault = min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    key = ".".join(str(part) for part in fault["loc"])
    match fault["type"]:
        case "missing":
            sentence = _("{path} lacks the key {key}. Add it; the brief shows a whole file.")
        case "extra_forbidden":
            sentence = _("{path} has the key {key}, which means nothing here. Take it away.")
        case "string_type":
            sentence = _("{path}: {key} must be a text in quotation marks.")
        case "list_type":
            sentence = _("{path}: {key} must be a list of texts, in square brackets.")
        case "string_too_short" | "too_short":
            sentence = _("{path}: {key} is empty. Fill it in; the brief shows a whole file.")
        case _other:
            sentence = _("{path}: {key} cannot be used: {reason}.")
    return sentence.format(path=path, key=key, reason=fault["msg"])


def _check(path: Path, description: Description) -> None:
    for key, value in description.paths().items():
        if leaves(value):
            sentence = _(
                "{path}: {key} is {value}, which leads out of the folder. "
                "Everything that the service needs must lie in its folder."
            )
            raise LearnerError(sentence.format(path=path, key=key, value=value))
    for pattern in [*description.weights, *description.built_from]:
        if leaves(pattern):
            sentence = _("{path}: the pattern {value} leads out of the folder.")
            raise LearnerError(sentence.format(path=path, value=pattern))
    for value in description.include:
        if leaves(value) or PurePosixPath(value).parts[:1] != (INCLUDABLE,):
            sentence = _("{path}: include can only name the folder {folder}, not {value}.")
            raise LearnerError(sentence.format(path=path, folder=INCLUDABLE, value=value))
    if not any("{port}" in word for word in description.start):
        sentence = _(
            "{path}: start does not contain {{port}}. The grader chooses the port, and the "
            "service must listen on it."
        )
        raise LearnerError(sentence.format(path=path))


def leaves(value: str) -> bool:
    """Return whether a path, as written, is absolute or climbs out of its folder."""
    path = PurePosixPath(value.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or "\0" in value
