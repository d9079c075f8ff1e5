"""The model service, all of it: load the artifact once, preprocess the image, run the forward pass.

Every other concern has its own small file: what must hold before a start (startup.py), how an
image is read from a request (request_image.py), how errors are answered (error_responses.py), the
process and its signals (server.py), the settings (settings.py, or --help).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Query

from service import health
from service.error_responses import answer_errors_as_json
from service.request_image import ImageBytes
from service.responses import PREDICT_DOCUMENTATION, PredictResponse, top_predictions
from service.server import serve
from service.settings import Settings
from service.startup import load_model


def create_app(settings: Settings) -> FastAPI:
    """The application. Its model is loaded here: once, before the server listens.

    (Not in `lifespan`, where a refusal would be a traceback of the server's, not one line.)
    """
    model = load_model(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        model.close()

    name, version = model.manifest.name, model.manifest.version
    app = FastAPI(title=name, version=version, lifespan=lifespan, redirect_slashes=False)
    app.state.settings, app.state.model, app.state.draining = settings, model, False
    app.include_router(health.router)
    answer_errors_as_json(app)

    @app.post("/predict", **PREDICT_DOCUMENTATION)
    async def predict(
        image: ImageBytes,
        k: int = Query(5, ge=1, le=len(model.manifest.labels), description="how many classes"),
    ) -> PredictResponse:
        """Classify one image: a JPEG, PNG or WebP file as the body, or as the field of a form."""
        pixels, preprocess_ms = await model.preprocess(image)
        inference = await model.predict(pixels)
        return PredictResponse(
            model=model.name,
            predictions=top_predictions(inference.probabilities, k, model.manifest.labels),
            timing_ms={"preprocess": preprocess_ms, **inference.timing_ms},
        )

    return app


if __name__ == "__main__":
    serve(create_app)
