"""`GET /metrics` for Prometheus. docs/service.md lists the metrics, and which to alert on."""

from fastapi import APIRouter, Request, Response

router = APIRouter(tags=["service"])


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Counters and histograms, memory and CPU time, in Prometheus' text format."""
    from service.telemetry.exposition import CONTENT_TYPE, expose

    return Response(expose(request.app.state.model), media_type=CONTENT_TYPE)
