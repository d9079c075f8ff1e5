"""Every answer of the service: predictions as types, which also describe them, and all errors."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, Field
from starlette.exceptions import HTTPException

from service.artifact.manifest import Manifest
from service.engines.base import Probabilities, top_k
from service.errors import OverloadedError, RequestError, shorten
from service.preprocessing import ImageError, ImageTooLargeError, UnsupportedImageError
from service.runner.jobs import Inference, note_refusal


class Model(BaseModel):
    """Name and version of the model."""

    name: str
    version: str


class Prediction(BaseModel):
    """One class and its probability."""

    class_id: int
    label: str
    probability: float = Field(ge=0, le=1)


def _to_microseconds(milliseconds: float) -> float:
    return round(milliseconds, 3)


Milliseconds = Annotated[float, AfterValidator(_to_microseconds)]
"""A duration in milliseconds, shown to the microsecond."""


class PredictResponse(BaseModel):
    """The most probable classes of an image."""

    model: Model
    predictions: list[Prediction]
    timing_ms: dict[str, Milliseconds] = Field(description="milliseconds of each stage")


class ErrorResponse(BaseModel):
    """What was wrong, and what is accepted."""

    error: str


class Status(BaseModel):
    """The answer to a health question."""

    status: str


def predict_response(manifest: Manifest, inference: Inference, k: int) -> Response:
    """Return the `k` most probable classes as JSON.

    Made here, not by FastAPI, which would validate what was just made.
    """
    answer = PredictResponse(
        model=Model(name=manifest.name, version=manifest.version),
        predictions=top_predictions(inference.probabilities, k, manifest.labels),
        timing_ms=inference.timing_ms,
    )
    return Response(answer.model_dump_json(), media_type="application/json")


def top_predictions(
    probabilities: Probabilities, k: int, labels: Sequence[str]
) -> list[Prediction]:
    """Return the `k` most probable classes of one image's probabilities, best first."""
    best = top_k(probabilities, k)
    best = best[np.lexsort((best, -probabilities[best]))]
    return [
        Prediction(
            class_id=int(class_id),
            label=labels[class_id],
            probability=float(probabilities[class_id]),
        )
        for class_id in best
    ]


def answer_errors_as_json(app: FastAPI) -> None:
    """Answer every error as `{"error": "…"}` with the status that fits."""

    @app.exception_handler(RequestError)
    @app.exception_handler(ImageError)
    async def request_error(_: Request, error: RequestError | ImageError) -> JSONResponse:
        return _answer_request_error(error)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        route = f"{request.method} {shorten(request.url.path)}"
        message = f"{route}: {error.detail}; see /openapi.json for what there is"
        return _json(error.status_code, message, error.headers)

    @app.exception_handler(Exception)
    async def our_fault(_: Request, error: Exception) -> JSONResponse:
        # Starlette raises the exception again behind this answer, and uvicorn logs it.
        return _json(500, "the service failed on this request; its log says why")


def _answer_request_error(error: RequestError | ImageError) -> JSONResponse:
    match error:
        case RequestError():
            status, reason = error.status, error.refusal
        case ImageTooLargeError():
            status, reason = 413, "image_too_large"
        case UnsupportedImageError():
            status, reason = 415, "unsupported_type"
        case _:
            status, reason = 422, "bad_image"
    note_refusal(reason)
    headers = {"retry-after": str(error.retry_after)} if isinstance(error, OverloadedError) else {}
    return _json(status, str(error), headers)


def _json(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": message}, status, headers)
