"""A prediction service written straight from a notebook, to measure the good one against.

    python -m quizzes.evidence.naive_service --load request

Its answers are right. It has two faults on purpose. Its weights may be loaded at the wrong moment
(`--load`), the way a notebook does it: torch, eager, from weights.safetensors. And its handler
computes inside the event loop, so nothing else is answered meanwhile, not even /livez.
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
import uvicorn
from fastapi import FastAPI, Request

from service.artifact.manifest import MANIFEST, Manifest
from service.engines import FORMS
from service.engines.base import Engine
from service.preprocessing import preprocess
from service.settings import DEFAULT_ARTIFACT
from service.web.responses import top_predictions

MOMENTS = ("request", "first", "startup")
"""When the weights are loaded: in every request, in the first one, before the service is ready."""
WEIGHTS = FORMS["eager"].file
log = logging.getLogger("uvicorn.error")


def create_app(moment: str, artifact: Path) -> FastAPI:
    """The application: one of `MOMENTS`, and the folder of an artifact, which is not verified."""
    manifest = Manifest.model_validate_json((artifact / MANIFEST).read_bytes())
    model: Engine | None = None

    def load() -> Engine:
        """What the notebook's first cells do."""
        started = time.perf_counter()
        from safetensors.torch import load_file

        from service.engines.torch_module import TorchEngine, configure_torch
        from service.model_definition import ServingModel, create_model, load_weights

        configure_torch(threads=1)
        net = create_model(manifest.architecture.name, len(manifest.labels))
        load_weights(net, load_file(artifact / WEIGHTS))
        about = manifest.architecture
        log.info("Loaded %s in %.0f ms", WEIGHTS, (time.perf_counter() - started) * 1000)
        return TorchEngine(ServingModel(net, about.mean, about.std), "cpu")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        nonlocal model
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
