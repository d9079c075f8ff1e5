"""The routes of the console, and the log that it shows."""

import logging
import re
import time
from collections import deque
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, HTMLResponse

from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.console.component import FRONT, plain, script, style
from service.console.flow import STEPS, Flow, is_polling, kind_of
from service.console.reference import reference_view
from service.console.summary import artifact_summary, metrics_summary
from service.console.texts import texts_in
from service.errors import RequestError
from service.loaded_model import LoadedModel
from service.machine import seconds_since_process_start
from service.settings import Settings
from service.web import health, metrics

MOST_LINES = 400
LANGUAGES = ("en", "ja", "id")
# The page loads nothing from elsewhere, and runs no script but its own.
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'self'",
    "Cache-Control": "no-store",
}


def open_console(settings: Settings) -> APIRouter:
    """The console's routes; none, unless the setting is on.

    Call it before the model is loaded: it shows the log from here on.
    """
    router = APIRouter(prefix="/console", include_in_schema=False)
    if not settings.console:
        return router
    log = _Log()
    logging.getLogger().addHandler(log)

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
        language = _language(lang, request.headers.get("accept-language", ""))
        summary = artifact_summary(await health.artifact(request))
        return {
            "texts": texts_in(language),
            "language": language,
            "sources": {"start-up": reference_view()},
            "samples": _samples(request.app.state.model),
            "start": start_events(list(log.start), summary),
            "last_line": log.start[-1]["n"] if log.start else 0,
            "idle_steps": Flow().snapshot()["steps"],
        }

    @router.get("/state")
    async def state(request: Request, after: int = 0) -> dict[str, Any]:
        answer = await metrics.metrics(request)
        return {
            "metrics": metrics_summary(bytes(answer.body).decode()),
            "lines": [line for line in log.lines if line["n"] > after],
        }

    @router.get("/photos/{name}")
    async def photo(request: Request, name: str) -> Response:
        model: LoadedModel = request.app.state.model
        for path in model.manifest.files:
            if path == f"golden/{name}":
                return FileResponse(model.bundle.path / path, headers=_HEADERS)
        raise RequestError(404, f"the artifact has no golden photo {name!r}")

    return router


class _Log(logging.Handler):
    """Keeps the last lines that the process logs, and those of its start."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[dict[str, Any]] = deque(maxlen=MOST_LINES)
        self.start: list[dict[str, Any]] = []
        self._count = 0
        self._started = False
        self._begun = time.time() - seconds_since_process_start()
        root = logging.getLogger().handlers
        if root:
            self.setFormatter(root[0].formatter)

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if is_polling(text):
            return
        self._count += 1
        at = record.created - self._begun
        line = {"n": self._count, "at": round(at, 3), "kind": kind_of(text), "text": text}
        self.lines.append(line)
        if not self._started:
            self.start.append(line)
            self._started = " ready " in text


def start_events(lines: list[dict[str, Any]], summary: dict[str, Any]) -> list[list[Any]]:
    """The start of this process as a recording: [milliseconds, name, value], in order."""
    flow = Flow(STEPS)
    flow.begin(0.0)
    events: list[list[Any]] = [[0, "flow", _shown(flow, "starting")]]
    for line in lines:
        flow.line(line["at"], line["text"])
        at = round(line["at"] * 1000)
        events.append([at, "lines", [line]])
        if flow.url and flow.phase == "serving":
            flow.photos(line["at"])
            events.append([at, "artifact", summary])
        events.append([at, "flow", _shown(flow, "photos" if flow.url else "starting")])
    return events


def _shown(flow: Flow, sentence: str) -> dict[str, Any]:
    return {**flow.snapshot(), "mode": "start-up", "sentence": {"key": sentence, "values": {}}}


def _samples(model: LoadedModel) -> list[dict[str, str]]:
    """The golden photos, with their credits where they are known."""
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


def _language(asked: str, accepted: str) -> str:
    """The language asked for in the address, or else the first of the browser's that is known."""
    wishes = [asked, *re.findall(r"[a-z]{2}(?=\b|-)", accepted.lower())]
    return next((code for code in wishes if code in LANGUAGES), "en")
