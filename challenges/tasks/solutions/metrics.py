"""Lesson 8: a counter that Prometheus can read. One line in your `create_app` adds it later."""

from collections import Counter

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse


# task: counter
def add_metrics(app: FastAPI) -> None:
    """Count each request by its status; GET /metrics answers with the counts."""
    counts: Counter[int] = Counter()

    @app.middleware("http")
    async def count(request: Request, call_next):
        status = 500  # what the user gets where the handler raises an error
        try:
            response = await call_next(request)
            status = response.status_code
            return response
        finally:
            if request.url.path != "/metrics":
                counts[status] += 1

    @app.get("/metrics")
    async def metrics() -> PlainTextResponse:
        lines = ["# HELP service_requests_total Requests, by status."]
        lines.append("# TYPE service_requests_total counter")
        for status, number in sorted(counts.items()):
            lines.append(f'service_requests_total{{status="{status}"}} {number}')
        return PlainTextResponse("\n".join(lines) + "\n")
