"""The tutorial way: one FastAPI application with a `def` endpoint, under uvicorn.

Compared: one worker with one and with two threads a session, and two workers with one thread.
"""

from typing import Annotated, Any

from fastapi import Body, FastAPI

from tests.performance.peers.classifier import Classifier

app = FastAPI()
classifier = Classifier(threads=1)


@app.get("/ready")
def ready() -> dict[str, str]:
    return {"status": "ready"}


@app.post("/predict")
def predict(photo: Annotated[bytes, Body(media_type="image/jpeg")]) -> dict[str, Any]:
    return classifier.classify(photo)
