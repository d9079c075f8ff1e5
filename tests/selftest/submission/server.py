"""The service: load the artifact once, classify the images that are sent, drain at the end."""

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from inference_runner import InferenceRunner

DRAIN_SECONDS = 2


def create_app(runner: InferenceRunner) -> FastAPI:
    """The application around a runner that is loaded and warm."""
    app = FastAPI()
    app.state.draining = False

    @app.get("/readyz")
    async def ready() -> JSONResponse:
        return JSONResponse({}, status_code=503 if app.state.draining else 200)

    @app.post("/predict")
    async def predict(request: Request) -> JSONResponse:
        try:
            predictions = await runner.classify(await request.body())
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse({"predictions": predictions})

    return app


async def serve(app: FastAPI, host: str, port: int) -> None:
    """Listen until SIGTERM; then say "not ready", answer what still comes, and stop."""
    server = uvicorn.Server(uvicorn.Config(app, host, port, access_log=False))
    server.capture_signals = contextlib.nullcontext  # uvicorn would close the port at once
    loop = asyncio.get_running_loop()

    def drain() -> None:
        app.state.draining = True
        loop.call_later(DRAIN_SECONDS, setattr, server, "should_exit", True)

    loop.add_signal_handler(signal.SIGTERM, drain)
    await server.serve()


def main() -> None:
    """Start the service."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--artifact", type=Path, default=Path("artifact"))
    options = parser.parse_args()
    try:
        runner = InferenceRunner(options.artifact)
    except (ValueError, LookupError, OSError) as error:
        sys.exit(f"error: the artifact does not match its manifest.json: {error}")
    asyncio.run(serve(create_app(runner), options.host, options.port))


if __name__ == "__main__":
    main()
