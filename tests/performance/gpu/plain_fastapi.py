"""Serve the model as in tutorials: a FastAPI application with a `def` endpoint, by uvicorn."""

from typing import Annotated, Any

import numpy as np
from fastapi import Body, FastAPI

from tests.performance.gpu.peer_model import GpuClassifier

app = FastAPI()
classifier = GpuClassifier(most=1)


@app.get("/ready")
def ready() -> dict[str, str]:
    return {"status": "ready"}


@app.post("/predict")
def predict(photo: Annotated[bytes, Body(media_type="image/jpeg")]) -> dict[str, Any]:
    pixels = classifier.decode(photo)
    return classifier.answer(classifier.infer(np.ascontiguousarray(pixels[None]))[0])
