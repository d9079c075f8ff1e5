"""The services that the panel can start: how, which file is theirs, which lines do which step."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import quizzes.evidence.naive_service as naive_service
from quizzes.evidence.running import NAIVE, REFERENCE
from service.console.flow import NAIVE_STEPS, STEPS
from service.console.reference import view_reference
from service.console.source import view_source
from service.console.texts import english, texts

START_UP, FIRST, EVERY = "start-up", "first-request", "every-request"
ALL = "all"
MODES = (EVERY, FIRST, START_UP)
"""When the weights are loaded; the last one is the reference service."""
_LOADING = ("net = create_model(", "load_weights(net,")
_PREDICTING = ("pixels = preprocess(", "model(pixels[np.newaxis])")
_NAIVE_CODE: Mapping[str, Sequence[str]] = {
    "start": ("uvicorn.run(create_app(",),
    "ready": ("app = FastAPI(", '@app.post("/predict")'),
    "photos": (
        "image = await request.body()",
        "if model is None or moment ==",
        *_LOADING,
        *_PREDICTING,
    ),
}


@dataclass(frozen=True, slots=True)
class Service:
    """One of the services that can be started."""

    module: str
    options: tuple[str, ...]
    steps: tuple[str, ...]
    photos: int
    """Real photos sent to it at most."""
    seconds: float
    """For sending them; when it is over, no further one is sent."""
    tells: bool
    """Whether it answers /artifact and /metrics."""

    def command(self, port: int, artifact: Path) -> list[str]:
        """What starts it; port 0 takes a free one."""
        place = ["--port", str(port), "--artifact", str(artifact)]
        return [sys.executable, "-m", self.module, *place, *self.options]


SERVICES = {
    EVERY: Service(NAIVE, ("--load", "request"), NAIVE_STEPS, 40, 4, tells=False),
    FIRST: Service(NAIVE, ("--load", "first"), NAIVE_STEPS, 100, 4, tells=False),
    # A drain of 5 s is for load balancers; here nobody else sends requests.
    START_UP: Service(REFERENCE, ("--drain-seconds", "0.3"), STEPS, 100, 5, tells=True),
}


def view_sources() -> dict[str, Any]:
    """The code pane's view of each service's file, by mode."""
    naive = view_source(Path(naive_service.__file__), _NAIVE_CODE)
    return {EVERY: naive, FIRST: naive, START_UP: view_reference()}


def text_names() -> set[str]:
    """The names of all texts; a sentence that the panel says must be one of them."""
    return set(texts(english))
