"""What the service answers, as types: they make the JSON, the OpenAPI page and its examples."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.engines.base import Probabilities
from service.request_image import FIELD


class Model(BaseModel):
    """Which model answered."""

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
"""A duration, shown to the microsecond."""


class PredictResponse(BaseModel):
    """The most probable classes of an image."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": {"name": "efficientnet-lite0", "version": "1.0.0"},
                    "predictions": [
                        {"class_id": 967, "label": "espresso", "probability": 0.951},
                        {"class_id": 968, "label": "cup", "probability": 0.015},
                    ],
                    "timing_ms": {"preprocess": 3.1, "queue": 0.1, "forward": 7.4},
                }
            ]
        }
    )

    model: Model
    predictions: list[Prediction]
    timing_ms: dict[str, Annotated[float, AfterValidator(_to_microseconds)]] = Field(
        description="milliseconds of each stage"
    )


class ErrorResponse(BaseModel):
    """What was wrong, what is accepted."""

    error: str


class Status(BaseModel):
    """The answer to a health question."""

    status: str


def top_predictions(
    probabilities: Probabilities, k: int, labels: Sequence[str]
) -> list[Prediction]:
    """The `k` most probable classes of one image's float32 probabilities, the first one first."""
    best = np.argsort(-probabilities, kind="stable")[:k]
    return [
        Prediction(
            class_id=int(class_id),
            label=labels[class_id],
            probability=float(probabilities[class_id]),
        )
        for class_id in best
    ]


_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "properties": {FIELD: {"type": "string", "format": "binary"}},
        "required": [FIELD],
    }
}
PREDICT_DOCUMENTATION: dict[str, Any] = {
    "responses": {
        status: {"model": ErrorResponse, "description": description}
        for status, description in {
            400: "the body is empty",
            408: "the body did not arrive in time",
            413: "the body has too many bytes, or the image too many pixels",
            415: "the content type names no image, or the image's format is not accepted",
            422: "the bytes are no image, truncated or too small, the form lacks its file, "
            "or `k` is out of range",
        }.items()
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "image/jpeg": _BINARY,
                "image/png": _BINARY,
                "image/webp": _BINARY,
                "multipart/form-data": _FORM,
            },
        }
    },
}
"""Arguments of the route `POST /predict` that only describe it."""
