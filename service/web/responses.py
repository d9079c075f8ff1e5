"""What the service answers, as types: they make the JSON, the OpenAPI page and its examples."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from fastapi import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.engines.base import Probabilities
from service.engines.top_k import top_k
from service.runner.job import Inference


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
    timing_ms: dict[str, Milliseconds] = Field(description="milliseconds of each stage")


class ErrorResponse(BaseModel):
    """What was wrong, what is accepted."""

    error: str


class Status(BaseModel):
    """The answer to a health question."""

    status: str


def predict_response(model: Model, inference: Inference, k: int, labels: Sequence[str]) -> Response:
    """The answer to a prediction: the `k` most probable classes, as JSON.

    Made here, not by FastAPI, which would validate what was just made.
    """
    answer = PredictResponse(
        model=model,
        predictions=top_predictions(inference.probabilities, k, labels),
        timing_ms=inference.timing_ms,
    )
    return Response(answer.model_dump_json(), media_type="application/json")


def top_predictions(
    probabilities: Probabilities, k: int, labels: Sequence[str]
) -> list[Prediction]:
    """The `k` most probable classes of one image's float32 probabilities, the first one first."""
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
