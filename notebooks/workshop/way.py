"""What a plan needs: the times of the lanes, and of the way to them, measured at the same time.

The way is sender, HTTP and event loop, measured with a service that computes nothing. As a program
this is that service: `python -m notebooks.workshop.way`.
"""

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from challenges.load.arrivals import due_times
from challenges.load.generator import Target, generate
from learner.processes import Program
from learner.stopwatch import time_ms

ANSWER = {"predictions": [{"class_id": 0, "label": "espresso", "probability": 0.2}] * 5}
WARM_UP_S = 1
"""First part of the load in seconds; what comes then is not counted."""


def create_app() -> FastAPI:
    """Return an application that reads a photo's bytes and answers at once, always the same."""
    app = FastAPI()

    @app.post("/predict")
    async def predict(request: Request) -> JSONResponse:
        await request.body()
        return JSONResponse(ANSWER)

    return app


def measure_lanes_and_way(
    answer: Callable[[bytes], object],
    photos: Sequence[bytes],
    lanes: int,
    rate: float = 50,
    seconds: float = 10,
) -> tuple[list[float], list[float]]:
    """Give each photo to a lane, and send it to a service that computes nothing, when it is due.

    In a service both use the same cores at the same time, so each makes the other slower. And
    caches and clock of a core rest between two photos: back to back, a lane would be faster.

    Args:
        answer: takes a photo's bytes; called on one thread a lane.
        photos: request i carries photos[i % len(photos)].
        lanes: number of threads.
        rate: photos a second; Poisson arrivals.
        seconds: length of the load after a warm-up.

    Returns:
        The milliseconds of each photo in its lane, without the time in the queue; and those of
        each request to the service that computes nothing.
    """
    due = due_times("poisson", rate, WARM_UP_S + seconds)
    with (
        Program([sys.executable, "-m", __name__]) as program,
        ThreadPoolExecutor(1) as sender,
        ThreadPoolExecutor(lanes) as pool,
    ):
        words = program.wait_for("Uvicorn running on ").text.split()
        address = next(word for word in words if word.startswith("http://"))
        target = Target(int(address.rsplit(":", 1)[1]))
        started, times = time.perf_counter(), []
        sending = sender.submit(generate, target, due, photos)
        for number, moment in enumerate(due):
            time.sleep(max(0.0, moment - (time.perf_counter() - started)))
            call = partial(answer, photos[number % len(photos)])
            times.append(pool.submit(time_ms, call))
        seen = sending.result()
        counted = due >= WARM_UP_S
        return (
            [one.result() for one, count in zip(times, counted, strict=True) if count],
            seen.latency_ms[seen.ok & counted].tolist(),
        )


if __name__ == "__main__":
    uvicorn.run(create_app(), port=0, access_log=False)
