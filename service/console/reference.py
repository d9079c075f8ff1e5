"""The lines of inference_service.py that do each step of the flow."""

from pathlib import Path
from typing import Any

from service.console.source import view_source

FILE = Path(__file__).resolve().parent.parent / "inference_service.py"
_LOAD = ("model = load(settings)",)
CODE = {
    "start": ("serve(create_app)",),
    "verify": _LOAD,
    "match": _LOAD,
    "load": _LOAD,
    "warm-up": _LOAD,
    "replay": _LOAD,
    "ready": ("app = FastAPI(", "app.router.routes.append(", "app.include_router(health.router)"),
    "photos": (
        "image = await request.read_image()",
        "inference = await model.runner.classify(",
        "return predict_response(",
    ),
    "stop": ("model.close()",),
}
"""Step → pieces of code in that file; `load` takes all steps from verify to replay."""


def view_reference() -> dict[str, Any]:
    """Return what the code pane shows of the service's own file."""
    return view_source(FILE, CODE)
