"""The peer: FastAPI and ONNX Runtime the tutorial way, with the same file and preprocessing.

No verification, no golden photos, no drain. `uvicorn tests.performance.plain_fastapi:app`
"""

from typing import Any

import numpy as np
import onnxruntime
from fastapi import FastAPI, Request

from service.preprocessing import preprocess
from service.settings import DEFAULT_ARTIFACT

app = FastAPI()
session = onnxruntime.InferenceSession(DEFAULT_ARTIFACT / "model.onnx")


@app.get("/readyz")
def readyz() -> dict[str, str]:
    return {"status": "ready"}


@app.post("/predict")
async def predict(request: Request) -> dict[str, Any]:
    pixels = preprocess(await request.body())
    (probabilities,) = session.run(None, {"pixels": pixels[None]})
    best = np.argsort(-probabilities[0])[:5]
    return {"predictions": [[int(one), float(probabilities[0][one])] for one in best]}
