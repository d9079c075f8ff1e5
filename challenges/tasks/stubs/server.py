"""The service: load the artifact once, classify the images that are sent, drain at the end.

This file grows in lesson 4. It has four places to write, each after a mark: endpoint, load-once,
readyz and drain. The file runs at any time; at first it does some things wrongly.

What the runner gives you (you write it in lesson 6):

    model = Model(artifact)                   loads the weights; this takes seconds
    runner = InferenceRunner(model.classify)  starts the threads that compute
    await runner.classify(data)               the five predictions for the bytes of an image;
                                              ValueError: they are no image; BusyError: come later
    runner.close()                            ends the threads, when the last answer is given
"""

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
    add_size(app)
    add_predict(app, runner)
    add_readyz(app)
    return app


def add_size(app: FastAPI) -> None:
    """An example: POST /size answers how many bytes came, and 400 if there were none."""

    @app.post("/size")
    async def size(request: Request) -> JSONResponse:
        data = await request.body()
        if not data:
            return JSONResponse({"error": "the body is empty"}, status_code=400)
        return JSONResponse({"bytes": len(data)})


# task: endpoint
def add_predict(app: FastAPI, runner: InferenceRunner) -> None:
    """POST /predict: an image file as the body, the five most probable classes as the answer.

    | what happens                       | status | body                             |
    |------------------------------------|--------|----------------------------------|
    | runner.classify gives predictions  | 200    | {"predictions": [...]}           |
    | it raises ValueError: no image     | 400    | {"error": "…"}, what was wrong   |
    | it raises BusyError: the queue     | 503    | {"error": "…"}, and the header   |
    | is full                            |        | Retry-After: 1                   |

    Catch no other error. A fault of the service is not the client's: FastAPI answers it with 500.
    """
    ...  # write here


# task: readyz
def add_readyz(app: FastAPI) -> None:
    """GET /livez: the process runs. GET /readyz: requests are welcome, or 503.

    So far /readyz always says yes. `app.state.ready` knows better: it is False until the model is
    loaded, and False again when the service is asked to stop.
    """

    @app.get("/livez")
    async def livez() -> JSONResponse:
        return JSONResponse({"status": "alive"})

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        return JSONResponse({"status": "ready"})


# task: drain
class DrainingServer(uvicorn.Server):
    """On SIGTERM: first "not ready", then a moment later no new requests, then the end.

    uvicorn calls `handle_exit` when a signal comes. Its own version closes the port at once, and
    the process ends by the signal (status 143). Write one that

    1. sets `self.config.app.state.ready` to False, so that /readyz says 503;
    2. sets `self.should_exit` to True, but only after DRAIN_SECONDS. `threading.Timer` does
       something later, in a thread of its own. (time.sleep here would stop all requests.)

    uvicorn then closes the port, answers what it has accepted, and ends with status 0.

    An example of a timer: threading.Timer(5, print, ("five seconds later",)).start()
    """

    def handle_exit(self, sig, frame) -> None:
        super().handle_exit(sig, frame)  # write here instead


# task: load-once
def start(artifact: Path, host: str, port: int) -> None:
    """Load the model once, and open the port only after that. Returns when all is drained.

    So far each request loads the model for itself. `uvicorn`'s `run` opens the port and returns
    when the service was stopped, so what stands before it happens before any request.
    """
    runner = InferenceRunner(lambda data: Model(artifact).classify(data))
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
