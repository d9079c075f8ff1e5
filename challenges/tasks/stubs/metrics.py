"""Lesson 8: a counter that Prometheus can read. One line in your `create_app` adds it later.

An example first, a gauge: a number that goes up and down. A counter only goes up; its
reader computes the growth. The text format has three kinds of lines:

    # HELP service_waiting Requests that wait.
    # TYPE service_waiting gauge
    service_waiting 3
"""

from collections import Counter

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse


def add_waiting(app: FastAPI, waiting: list) -> None:
    """The example: GET /waiting tells how many requests wait."""

    @app.get("/waiting")
    async def gauge() -> PlainTextResponse:
        lines = ["# HELP service_waiting Requests that wait.", "# TYPE service_waiting gauge"]
        return PlainTextResponse("\n".join([*lines, f"service_waiting {len(waiting)}"]) + "\n")


# task: counter
def add_metrics(app: FastAPI) -> None:
    """Count each request by its status; GET /metrics answers with the counts.

        # HELP service_requests_total Requests, by status.
        # TYPE service_requests_total counter
        service_requests_total{status="200"} 12
        service_requests_total{status="404"} 1

    - `@app.middleware("http")` goes before a function `async def count(request, call_next)`, which
      is called for each request. `response = await call_next(request)` runs the handler.
    - If a handler raises an error, `call_next` raises it too, and the user gets the status 500.
      Count that too: use `try` and `finally`. An error that is not counted is never seen.
    - Requests to /metrics itself do not count.
    - `counts = Counter()` begins each status at 0: `counts[status] += 1`.
    """
    ...  # write here
