"""The way to a lane: sender, HTTP, event loop. Measured with a service that computes nothing.

As a program this is that service: `python -m notebooks.workshop.way`.
"""

import sys
import time
from collections.abc import Sequence

import psutil
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from challenges.load.arrivals import due_times
from challenges.load.generator import Target, generate
from learner.processes import Program
from notebooks.workshop.queueing import Way
from service.machine import available_cores

ANSWER = {"predictions": [{"class_id": 0, "label": "espresso", "probability": 0.2}] * 5}


def create_app() -> FastAPI:
    """Return an application that reads a photo's bytes and answers at once, always the same."""
    app = FastAPI()

    @app.post("/predict")
    async def predict(request: Request) -> JSONResponse:
        await request.body()
        return JSONResponse(ANSWER)

    return app


def measure_way(photos: Sequence[bytes], rate: float = 50, seconds: float = 10) -> Way:
    """Send photos to a service that computes nothing; return what the way costs.

    Args:
        photos: request i carries photos[i % len(photos)].
        rate: requests a second; Poisson arrivals.
        seconds: length of the load. A warm-up of a second is not counted.
    """
    with Program([sys.executable, "-m", __name__]) as program:
        words = program.wait_for("Uvicorn running on ").text.split()
        address = next(word for word in words if word.startswith("http://"))
        target, process = Target(int(address.rsplit(":", 1)[1])), psutil.Process(program.group)
        generate(target, due_times("poisson", rate, 1), photos)
        before, started = _cpu_s(process), time.perf_counter()
        seen = generate(target, due_times("poisson", rate, seconds), photos)
        busy = (_cpu_s(process) - before) / (time.perf_counter() - started) + seen.cpu_share
    return Way(seen.latency_ms[seen.ok].tolist(), min(busy / available_cores(), 0.9))


def _cpu_s(process: psutil.Process) -> float:
    """Return the seconds of processor that a process and its children have used."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return float(sum(one.user + one.system for one in times))


if __name__ == "__main__":
    uvicorn.run(create_app(), port=0, access_log=False)
