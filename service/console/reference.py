"""Which lines of inference_service.py do which step of the flow."""

from pathlib import Path
from typing import Any

from service.console.source import source_view

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


def reference_view() -> dict[str, Any]:
    """The code pane's view of the file that this process would run."""
    return source_view(FILE, CODE)
