"""The health routes, and what is loaded. Alive and ready are different questions."""

from typing import Any

from fastapi import APIRouter, Request

from service.errors import RequestError
from service.loaded_model import LoadedModel
from service.web.responses import ErrorResponse, Status

router = APIRouter(tags=["service"])

MOST_LABELS = 10_000
"""With more labels /artifact leaves them out: megabytes of text would block the event loop."""


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
    return describe_artifact(request.app.state.model, request.app.state.settings.front_ends)


def describe_artifact(model: LoadedModel, front_ends: int) -> dict[str, Any]:
    """Return the answer of `GET /artifact`."""
    manifest, plan = model.manifest, model.plan
    too_many = len(manifest.labels) > MOST_LABELS
    return {
        **manifest.model_dump(mode="json", exclude={"labels"} if too_many else None),
        "classes": len(manifest.labels),
        "path": str(model.bundle.path),
        "digest": model.bundle.digest,
        "verified": {name: file.sha256 for name, file in manifest.files.items()},
        "form": model.form.name,
        "engine": plan.engine.runtime,
        "precision": model.form.precision,
        "device": plan.engine.device,
        "threads": plan.threads,
        "lanes": plan.layout.lanes,
        "max_batch": plan.layout.max_batch,
        "front_ends": front_ends,
        "environment_match": {
            "matches": not model.environment_differences,
            "differences": model.environment_differences,
        },
        "startup_ms": {step.name: step.ms for step in model.steps},
    }
