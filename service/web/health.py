"""The health routes, and what is loaded. Alive and ready are different questions."""

from typing import Any

from fastapi import APIRouter, Request

from service.errors import RequestError
from service.web.responses import ErrorResponse, Status

router = APIRouter(tags=["service"])


@router.head("/livez", include_in_schema=False)
@router.get("/livez")
async def livez() -> Status:
    """The process runs and its event loop turns. If this fails, restart it."""
    return Status(status="live")


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses={503: {"model": ErrorResponse}})
async def readyz(request: Request) -> Status:
    """The model is loaded and requests are welcome. If this fails, send them elsewhere."""
    if request.app.state.draining:
        raise RequestError(503, "draining: this process is about to stop, send requests elsewhere")
    return Status(status="ready")


@router.get("/artifact")
async def artifact(request: Request) -> dict[str, Any]:
    """What is loaded: the fields of the manifest, what was verified, and what runs it."""
    from service.telemetry.exposition import describe_artifact

    return describe_artifact(request.app.state.model, request.app.state.settings.front_ends)
