"""Questions about the service itself. Alive and ready are different questions."""

from typing import Any

from fastapi import APIRouter, Request

from service.errors import RequestError
from service.loaded_model import LoadedModel
from service.web.responses import ErrorResponse, Status

router = APIRouter(tags=["service"])

MOST_LABELS = 10_000
"""More are left out of /artifact: megabytes of text, made by the thread that answers everyone."""


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
    model: LoadedModel = request.app.state.model
    classes = len(model.manifest.labels)
    return {
        **model.manifest.model_dump(
            mode="json", exclude={"labels"} if classes > MOST_LABELS else None
        ),
        "classes": classes,
        "path": str(model.bundle.path),
        "digest": model.bundle.digest,
        "verified": {name: file.sha256 for name, file in model.manifest.files.items()},
        "form": model.form.name,
        "engine": model.runner.engine.runtime,
        "precision": model.form.precision,
        "device": model.runner.engine.device,
        "threads": model.threads,
        "lanes": model.runner.layout.lanes,
        "max_batch": model.runner.layout.max_batch,
        "front_ends": request.app.state.settings.front_ends,
        "environment_match": {
            "matches": not model.environment_differences,
            "differences": model.environment_differences,
        },
        "startup_ms": model.startup_ms,
    }
