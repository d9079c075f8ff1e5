"""The OpenAPI description of `POST /predict`, whose request FastAPI does not parse."""

from typing import Any

from service.web.predict_route import DEADLINE_HEADER, DEFAULT_K, FIELD, MOST_DEADLINE_MS
from service.web.responses import ErrorResponse, PredictResponse

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "properties": {FIELD: {"type": "string", "format": "binary"}},
        "required": [FIELD],
    }
}
_EXAMPLE = {
    "model": {"name": "efficientnet-lite0", "version": "1.0.0"},
    "predictions": [
        {"class_id": 967, "label": "espresso", "probability": 0.951},
        {"class_id": 968, "label": "cup", "probability": 0.015},
    ],
    "timing_ms": {"preprocess": 3.1, "queue": 0.1, "forward": 7.4},
}
_ERRORS = {
    400: "the body is empty",
    401: "there are keys, and the request carries none of them",
    408: "the body did not arrive in time",
    413: "the body has too many bytes, or the image too many pixels",
    415: "the content type names no image, or the image's format is not accepted",
    422: "the bytes are no image, truncated or too small, the form lacks its file, "
    "or a parameter is not valid",
    503: "the request could not be answered in time; `Retry-After` says when to try again",
}


def predict_documentation(classes: int) -> dict[str, Any]:
    """Return the arguments of the route that describe it, for a model with N `classes`."""
    return {
        "response_model": PredictResponse,
        "responses": {200: {"content": {"application/json": {"example": _EXAMPLE}}}}
        | {
            status: {"model": ErrorResponse, "description": description}
            for status, description in _ERRORS.items()
        },
        "openapi_extra": {
            "parameters": [
                {
                    "name": "k",
                    "in": "query",
                    "description": "how many classes",
                    "schema": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": classes,
                        "default": min(DEFAULT_K, classes),
                    },
                },
                {
                    "name": DEADLINE_HEADER,
                    "in": "header",
                    "description": "milliseconds that the answer may take; a request that cannot "
                    "keep it is refused at once, and dropped if it passes in the queue",
                    "schema": {
                        "type": "number",
                        "exclusiveMinimum": 0,
                        "maximum": MOST_DEADLINE_MS,
                    },
                },
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "image/jpeg": _BINARY,
                    "image/png": _BINARY,
                    "image/webp": _BINARY,
                    "multipart/form-data": _FORM,
                },
            },
        },
    }
