"""The model service, all of it: load the artifact once, preprocess the image, run the forward pass.

Each other concern has a room of its own: what must hold before a start (startup.py), HTTP (web/),
threads and queue (runner/), the process and its signals (server.py), settings (settings.py).
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response

from service.loaded_model import LoadedModel
from service.server import serve
from service.settings import Settings
from service.startup import load_model
from service.web import health, metrics
from service.web.predict_route import PredictRequest, PredictRoute
from service.web.responses import answer_errors_as_json, predict_response


def create_app(settings: Settings, load: Callable[[Settings], LoadedModel] = load_model) -> FastAPI:
    """The application. Its model is loaded here: once, before the server listens.

    (Not in `lifespan`, where a refusal would be a traceback of the server's, not one line.)
    """
    model = load(settings)
    manifest = model.manifest

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        model.close()

    name, version, classes = manifest.name, manifest.version, len(manifest.labels)
    app = FastAPI(title=name, version=version, lifespan=lifespan, redirect_slashes=False)
    app.state.settings, app.state.model, app.state.draining = settings, model, False

    async def predict(request: PredictRequest) -> Response:
        """Classify one image: a JPEG, PNG or WebP file as the body, or as the field of a form."""
        image = await request.read_image()
        inference = await model.runner.classify(image, request.remaining_s)  # preprocess, forward
        return predict_response(manifest, inference, request.k)

    app.router.routes.append(PredictRoute("/predict", predict, model.runner, classes, settings))
    app.include_router(health.router)
    app.include_router(metrics.router)
    answer_errors_as_json(app)
    return app


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    serve(create_app)


if __name__ == "__main__":
    main()
