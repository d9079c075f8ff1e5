"""The model service, all of it: load the artifact once, preprocess the image, run the forward pass.

Every other concern has its own small file: what must hold before a start (startup.py), how an
image is read from a request (request_image.py), how errors are answered (error_responses.py), the
process and its signals (server.py), the settings (settings.py, or --help).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response

from service import console
from service.server import serve
from service.settings import Settings
from service.startup import load_model
from service.web import health, metrics
from service.web.error_responses import answer_errors_as_json
from service.web.openapi import predict_documentation
from service.web.predict_route import Door
from service.web.request_image import read_image
from service.web.request_parameters import read_deadline, read_k
from service.web.responses import predict_response


def create_app(settings: Settings) -> FastAPI:
    """The application. Its model is loaded here: once, before the server listens.

    (Not in `lifespan`, where a refusal would be a traceback of the server's, not one line.)
    """
    console_routes = console.open_console(settings)  # before the load, to hear its log
    model = load_model(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        model.close()

    name, version, labels = model.manifest.name, model.manifest.version, model.manifest.labels
    app = FastAPI(title=name, version=version, lifespan=lifespan, redirect_slashes=False)
    app.state.settings, app.state.model, app.state.draining = settings, model, False
    answer_errors_as_json(app)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(console_routes)

    @app.post("/predict", **predict_documentation(len(labels)))
    async def predict(request: Request) -> Response:
        """Classify one image: a JPEG, PNG or WebP file as the body, or as the field of a form."""
        k = read_k(request, len(labels))
        image = await read_image(request)
        deadline_s = read_deadline(request.scope)
        inference = await model.runner.classify(image, deadline_s)  # preprocess, forward pass
        return predict_response(model.name, inference, k, labels)

    app.add_middleware(Door, "/predict", predict, model.runner, settings.max_requests)
    return app


if __name__ == "__main__":
    serve(create_app)
