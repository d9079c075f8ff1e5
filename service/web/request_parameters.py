"""What a request says beside its image: how many classes, and how long it can wait."""

import time
from typing import Annotated, TypeVar

from fastapi import Request
from pydantic import Field, TypeAdapter, ValidationError
from starlette.types import Scope

from service.errors import RequestError, shorten

DEFAULT_K = 5
DEADLINE_HEADER = "X-Deadline-Ms"
_DEADLINE_NAME = DEADLINE_HEADER.lower().encode()
MOST_DEADLINE_MS = 600_000
_Number = TypeVar("_Number", int, float)
_DEADLINE: TypeAdapter[float] = TypeAdapter(Annotated[float, Field(gt=0, le=MOST_DEADLINE_MS)])
_COUNT: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=1)])


def read_k(request: Request, classes: int) -> int:
    """How many of the model's `classes` are asked for: the query parameter `k`, or 5.

    Raises:
        RequestError: 422, it is no whole number from 1 to `classes`.
    """
    text = request.query_params.get("k")
    if text is None:
        return min(DEFAULT_K, classes)
    k = _valid(_COUNT, "k", text)
    if k > classes:
        raise RequestError(
            422, f"k={text!r} is not valid: Input should be at most {classes}, the model's classes"
        )
    return k


def read_deadline(scope: Scope) -> float | None:
    """Seconds that the answer may still take: the header X-Deadline-Ms, or None.

    Counted from `scope["arrived"]` (perf_counter's seconds), which the door notes.

    Raises:
        RequestError: 422, it is no number of milliseconds above 0 and up to ten minutes.
    """
    for name, value in scope["headers"]:
        if name == _DEADLINE_NAME:
            milliseconds = _valid(_DEADLINE, DEADLINE_HEADER, value.decode("latin-1"))
            now = time.perf_counter()
            arrived: float = scope.get("arrived", now)
            return milliseconds / 1000 - (now - arrived)
    return None


def _valid(adapter: TypeAdapter[_Number], name: str, text: str) -> _Number:
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        fault = error.errors()[0]["msg"]
        raise RequestError(422, f"{name}={shorten(repr(text))} is not valid: {fault}") from None
