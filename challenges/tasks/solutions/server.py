"""The service: load the artifact once, classify the images that are sent, drain at the end."""

import argparse
import sys
import threading
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from inference_runner import BusyError, InferenceRunner, Model

DRAIN_SECONDS = 2


def create_app(runner: InferenceRunner) -> FastAPI:
    """The routes around a runner. Not ready before somebody sets `app.state.ready`."""
    app = FastAPI()
    app.state.ready = False
    add_predict(app, runner)
    add_readyz(app)
    return app


# task: endpoint
def add_predict(app: FastAPI, runner: InferenceRunner) -> None:
    """POST /predict: an image file as the body, the five most probable classes as the answer."""

    @app.post("/predict")
    async def predict(request: Request) -> JSONResponse:
        try:
            predictions = await runner.classify(await request.body())
        except ValueError as error:  # the bytes are no image: the client's fault
            return JSONResponse({"error": str(error)}, status_code=400)
        except BusyError as error:  # the queue is full: the client may try again
            return JSONResponse({"error": str(error)}, 503, headers={"Retry-After": "1"})
        return JSONResponse({"predictions": predictions})


# task: readyz
def add_readyz(app: FastAPI) -> None:
    """GET /livez: the process runs. GET /readyz: requests are welcome, or 503."""

    @app.get("/livez")
    async def livez() -> JSONResponse:
        return JSONResponse({"status": "alive"})

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        if not app.state.ready:
            return JSONResponse({"status": "not ready"}, status_code=503)
        return JSONResponse({"status": "ready"})


# task: drain
class DrainingServer(uvicorn.Server):
    """On SIGTERM: first "not ready", then a moment later no new requests, then the end."""

    def handle_exit(self, sig, frame) -> None:
        """Called by uvicorn when a signal comes; its own version closes the port at once."""
        self.config.app.state.ready = False
        stop = threading.Timer(DRAIN_SECONDS, setattr, (self, "should_exit", True))
        stop.daemon = True  # a second Ctrl+C need not wait for it
        stop.start()


# task: load-once
def start(artifact: Path, host: str, port: int) -> None:
    """Load the model once, and open the port only after that. Returns when all is drained."""
    model = Model(artifact)
    runner = InferenceRunner(model.classify)
    app = create_app(runner)
    app.state.ready = True
    DrainingServer(uvicorn.Config(app, host, port, access_log=False)).run()
    runner.close()


# end


def main() -> None:
    """Start the service. Exit status 1 and one line: the artifact cannot be served."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--artifact", type=Path, default=Path("artifact"))
    options = parser.parse_args()
    try:
        start(options.artifact, options.host, options.port)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
