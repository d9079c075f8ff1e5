"""A prediction service written straight from a notebook, to measure the good one against.

    python -m quizzes.evidence.naive_service --load request

Its answers are right. It has two faults on purpose. Its weights may be loaded at the wrong moment
(`--load`). And its handler computes inside the event loop, so nothing else is answered meanwhile,
not even /livez.

Everything else is as in the reference service: the same ONNX file, the same runtime with one
thread, and all libraries are imported when the process starts. So the three moments differ only in
when the weights are loaded.
"""

import argparse
import logging
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import uvicorn
from fastapi import FastAPI, Request

import service.engines.onnx_runtime  # noqa: F401 - here, so that no request waits for the import
from service.artifact.manifest import MANIFEST, Manifest
from service.engines import FORMS, load_engine
from service.engines.base import Engine
from service.preprocessing import preprocess
from service.settings import DEFAULT_ARTIFACT
from service.web.responses import top_predictions

MOMENTS = ("request", "first", "startup")
"""When the weights are loaded: in every request, in the first one, before the service is ready."""
FORM = FORMS["onnx-int8"]
"""The form that the reference service serves."""
log = logging.getLogger("uvicorn.error")


def create_app(moment: str, artifact: Path) -> FastAPI:
    """The application: one of `MOMENTS`, and the folder of an artifact, which is not verified."""
    manifest = Manifest.model_validate_json((artifact / MANIFEST).read_bytes())
    model: Engine | None = None

    def load() -> Engine:
        """Load the weights, and log how long it took."""
        started = time.perf_counter()
        engine = load_engine(FORM, artifact / FORM.file, "cpu", threads=1)
        log.info("Loaded %s in %.0f ms", FORM.file, (time.perf_counter() - started) * 1000)
        return engine

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        nonlocal model
        imported = time.time() - psutil.Process().create_time()
        log.info("Imported the libraries in %.0f ms", imported * 1000)
        if moment == "startup":
            model = load()
        yield

    app = FastAPI(title="naive service", lifespan=lifespan)

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "live"}

    @app.post("/predict")
    async def predict(request: Request) -> dict[str, Any]:
        nonlocal model
        image = await request.body()
        if model is None or moment == "request":
            model = load()
        pixels = preprocess(image, manifest.preprocessing)
        (probabilities,) = model(pixels[np.newaxis])
        return {"predictions": top_predictions(probabilities, 5, manifest.labels)}

    return app


def main() -> None:
    """Serve on 127.0.0.1. uvicorn's line "Uvicorn running on http://…" says that it is ready."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", choices=MOMENTS, default="request", help="when weights are read")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--artifact", type=Path, default=DEFAULT_ARTIFACT)
    options = parser.parse_args()
    if not (options.artifact / MANIFEST).exists():
        sys.exit(f"error: no artifact at {options.artifact}. Build it: make serve")
    uvicorn.run(create_app(options.load, options.artifact), host="127.0.0.1", port=options.port)


if __name__ == "__main__":
    main()
