"""The routes of the console, and the log that it shows."""

import logging
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse

from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.console.component import FRONT, plain, script, style
from service.console.flow import STEPS, Flow
from service.console.reference import view_reference
from service.console.summary import resident_bytes, summarise_artifact, summarise_counters
from service.console.texts import texts_in
from service.errors import RequestError
from service.loaded_model import LoadedModel, Step
from service.machine import seconds_since_process_start
from service.settings import Settings
from service.telemetry.exposition import describe_artifact

MOST_LINES = 400
LANGUAGES = ("en", "ja", "id")
_ACCESS_LOG = "service.access"
_POLLED = ("/artifact", "/console")
# The page loads nothing from elsewhere, and runs no script but its own.
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def add_console(create_app: Callable[[Settings], FastAPI], settings: Settings) -> FastAPI:
    """Create the application with the console's routes.

    The log is followed from before the model is loaded, because the console shows the start.
    """
    log = _Log()
    logging.getLogger().addHandler(log)
    app = create_app(settings)
    app.include_router(_make_router(log))
    return app


def _make_router(log: "_Log") -> APIRouter:
    router = APIRouter(prefix="/console", include_in_schema=False)

    @router.get("")
    async def page() -> Response:
        return HTMLResponse((FRONT / "panel.html").read_bytes(), headers=_HEADERS)

    @router.get("/panel.css")
    async def css() -> Response:
        return Response(style(), media_type="text/css", headers=_HEADERS)

    @router.get("/panel.js")
    async def javascript() -> Response:
        home = plain(FRONT / "console_home.js")
        source = script(home, 'openConsole(document.getElementById("panel"));\n')
        return Response(source, media_type="text/javascript", headers=_HEADERS)

    @router.get("/page.json")
    async def everything(request: Request, lang: str = "") -> dict[str, Any]:
        language = _choose_language(lang, request.headers.get("accept-language", ""))
        state = request.app.state
        described = describe_artifact(state.model, state.settings.front_ends)
        summary = summarise_artifact(described)
        return {
            "texts": texts_in(language),
            "language": language,
            "sources": {"start-up": view_reference()},
            "samples": _list_samples(state.model),
            "start": replay_start(log.start, summary),
            "last_line": log.start[-1].shown["n"] if log.start else 0,
            "idle_steps": Flow().snapshot()["steps"],
        }

    @router.get("/state")
    async def state(request: Request, after: int = 0) -> dict[str, Any]:
        counters = request.app.state.model.counters
        return {
            "metrics": summarise_counters(counters, resident_bytes()),
            "lines": [line.shown for line in log.lines if line.shown["n"] > after],
        }

    @router.get("/photos/{name}")
    async def photo(request: Request, name: str) -> Response:
        model: LoadedModel = request.app.state.model
        for path in model.manifest.files:
            if path == f"golden/{name}":
                return FileResponse(model.bundle.path / path, headers=_HEADERS)
        raise RequestError(404, f"the artifact has no golden photo {name!r}")

    return router


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log, and the step of the start that it reports, if it does."""

    shown: dict[str, Any]
    """"n": its number, "at": seconds since the process started, "kind": its colour, "text"."""
    step: Step | None = None


class _Log(logging.Handler):
    """Keeps the last lines that the process logs, and those of its start."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[Line] = deque(maxlen=MOST_LINES)
        self.start: list[Line] = []
        self._count = 0
        self._started = False
        self._begun = time.time() - seconds_since_process_start()
        root = logging.getLogger().handlers
        if root:
            self.setFormatter(root[0].formatter)

    def emit(self, record: logging.LogRecord) -> None:
        if _is_polling(record):
            return
        self._count += 1
        at = round(record.created - self._begun, 3)
        step: Step | None = getattr(record, "step", None)
        shown = {
            "n": self._count, "at": at, "kind": _kind_of(record, step), "text": self.format(record)
        }  # fmt: skip
        self.lines.append(Line(shown, step))
        if not self._started:
            self.start.append(self.lines[-1])
            self._started = step is not None and step.name == "ready"


def _kind_of(record: logging.LogRecord, step: Step | None) -> str:
    """Return how the terminal colours a record, as `flow.kind_of` does for text."""
    if record.levelno >= logging.WARNING:
        return "error" if record.levelno >= logging.ERROR else "warning"
    if step is not None:
        return "step"
    return "request" if record.name == _ACCESS_LOG else "quiet"


def _is_polling(record: logging.LogRecord) -> bool:
    """Return whether a record only says that a page asked for the state; it is not shown."""
    if record.name != _ACCESS_LOG or not isinstance(record.args, tuple):
        return False
    _client, method, path, *_rest = record.args
    return method in ("GET", "HEAD") and str(path).startswith(_POLLED)


def replay_start(lines: Sequence[Line], summary: dict[str, Any]) -> list[list[Any]]:
    """Return the start of this process as a recording: [milliseconds, name, value], in order."""
    flow = Flow(STEPS)
    flow.begin(0.0)
    events: list[list[Any]] = [[0, "flow", _shown(flow, "starting")]]
    for line in lines:
        at, step = line.shown["at"], line.step
        if step is not None:
            flow.step_done(at, step.name, step.ms, step.url)
        milliseconds = round(at * 1000)
        events.append([milliseconds, "lines", [line.shown]])
        if flow.url and flow.phase == "serving":
            flow.photos(at)
            events.append([milliseconds, "artifact", summary])
        events.append([milliseconds, "flow", _shown(flow, "photos" if flow.url else "starting")])
    return events


def _shown(flow: Flow, sentence: str) -> dict[str, Any]:
    return {**flow.snapshot(), "mode": "start-up", "sentence": {"key": sentence, "values": {}}}


def _list_samples(model: LoadedModel) -> list[dict[str, str]]:
    """List the golden photos, with their credits where they are known."""
    known = {Path(photo.file).name: photo for photo in SAMPLE_PHOTOS}
    names = [Path(name).name for name in model.manifest.files if name.startswith("golden/")]
    return [
        {
            "name": known[name].name if name in known else name,
            "credit": known[name].credit if name in known else "–",
            "licence": known[name].licence if name in known else "–",
            "picture": f"console/photos/{name}",
        }
        for name in names
    ]


def _choose_language(asked: str, accepted: str) -> str:
    """Return the language in the address, or else the first of the browser's that is known."""
    wishes = [asked, *re.findall(r"[a-z]{2}(?=\b|-)", accepted.lower())]
    return next((code for code in wishes if code in LANGUAGES), "en")
