"""Around the application: who may call, what every answer carries, what is noted of each request.

An ASGI function of its own, because it runs for every request: Starlette's middleware costs more.
"""

import logging
import os
import re
import time
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.utils import get_client_addr, get_path_with_query_string

from service.runner.jobs import RECORD, Counters, RequestRecord
from service.web.keys import HEADER, KeyFile

if TYPE_CHECKING:
    from service.telemetry.tracing import Tracer

log = logging.getLogger("service.access")

REQUEST_ID = "X-Request-Id"
DIGEST = "X-Model-Digest"
HEADER_LENGTH = "Inference-Header-Content-Length"
"""Header of the Open Inference Protocol: the size of the JSON, which binary tensors follow."""
DIGEST_DIGITS = 12
"""Digits of the digest in answers and in the log: enough to tell bundles apart."""
PROBES = frozenset({"/livez", "/readyz", "/v2/health/live", "/v2/health/ready"})
"""Asked every few seconds by balancers: they need no key, and are not in the log."""
_OPERATORS = ("/metrics", "/artifact", "/docs", "/redoc", "/openapi.json", "/console")
"""What is only on the admin port, if there is one. It needs no key there, but for the console."""
_CONSOLE = "/console"
_UNLOGGED = PROBES | {"/metrics"}
_DOCS = {"/docs", "/redoc"}
_DOCS_HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; "
        b"worker-src blob:; style-src 'unsafe-inline' https://cdn.jsdelivr.net "
        b"https://fonts.googleapis.com; font-src https://fonts.gstatic.com; "
        b"img-src 'self' data: https:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
]
_ID_NAME = REQUEST_ID.lower().encode()
_ID = re.compile(rb"[\w.:/+=@-]{1,128}", re.ASCII)
_REFUSALS = {
    400: "bad_request", 401: "no_key", 404: "no_route", 405: "no_route", 408: "slow_body",
    413: "body_too_large", 415: "unsupported_type", 422: "bad_request", 500: "error",
    503: "overload",
}  # fmt: skip
"""The reason of an answer whose error names none, by its status."""


class Edge:
    """The application as the server calls it, on one of its ports."""

    def __init__(
        self,
        app: ASGIApp,
        counters: Counters,
        keys: KeyFile | None = None,
        tracer: "Tracer | None" = None,
        *,
        access_log: bool = True,
        public: bool = False,
        admin: bool = False,
    ) -> None:
        """Wrap `app`.

        Args:
            app: answers what may be asked.
            counters: of this process; answers are counted here.
            keys: who may call; None: everybody.
            tracer: makes a span a request.
            access_log: whether each request is logged.
            public: leave out what is for operators, because another port has it.
            admin: this is that other port.
        """
        self._app = app
        self._counters = counters
        self._keys = keys
        self._tracer = tracer
        self._access_log = access_log
        self._public = public
        self._admin = admin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, headers = time.perf_counter(), 0, scope["headers"]
        path = scope["path"].removeprefix(scope["root_path"])
        record = RequestRecord(_read_id(headers), began)
        RECORD.set(record)
        added = [(_ID_NAME, record.id.encode())]
        if path in _DOCS:
            added += _DOCS_HEADERS
        if self._tracer is not None and path not in _UNLOGGED:
            record.span = self._tracer.begin(headers, scope["method"], path, record.id)
            added.append((b"traceparent", self._tracer.name_span(record.span)))

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status == 500:  # the error goes on to uvicorn, which closes the connection
                    added.append((b"connection", b"close"))
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        key: str | None = None
        failed = True
        try:
            refusal: ASGIApp | None = None
            if self._keys is not None and self._needs_key(path):
                key = self._keys.identify(headers)
                refusal = None if key is not None else _refuse_without_key(path)
            if self._public and path.startswith(_OPERATORS):
                refusal = _refuse_here(path)
            await (self._app if refusal is None else refusal)(scope, receive, send_and_note)
            failed = False
        finally:
            ended = time.perf_counter()
            if failed and not status:
                status = 500  # the server answers it
            self._note(scope, path, status, key, record, ended)

    def _needs_key(self, path: str) -> bool:
        if path in PROBES:
            return False
        return not (self._admin and path.startswith(_OPERATORS) and not path.startswith(_CONSOLE))

    def _note(
        self,
        scope: MutableMapping[str, Any],
        path: str,
        status: int,
        key: str | None,
        record: RequestRecord,
        ended: float,
    ) -> None:
        """Count and log one request; `status` is 0 if its client left without an answer."""
        if path not in _UNLOGGED:
            self.count(status, record.refusal)
        if status == 200 and record.forwarded:
            counters = self._counters
            counters.stages["read"].observe(record.read - record.began)
            counters.stages["serialise"].observe(ended - record.forwarded)
            counters.answers_s.observe(ended - record.began)
        if self._tracer is not None and record.span is not None:
            self._tracer.end(record, status, ended)
        if self._access_log and path not in _UNLOGGED:
            took_ms = (ended - record.began) * 1000
            client, target = get_client_addr(scope), get_path_with_query_string(scope)  # type: ignore[arg-type]
            fields: dict[str, Any] = {
                "client": client,
                "method": scope["method"],
                "path": target,
                "status": status,
                "ms": round(took_ms, 1),
            }
            if key is not None:
                fields["key"] = key
            if record.span is not None and self._tracer is not None:
                fields["trace_id"] = self._tracer.name_span(record.span)[3:35].decode()
            log.info(
                '%s - "%s %s HTTP/%s" %d · %.1f ms%s',
                client, scope["method"], target, scope["http_version"], status, took_ms,
                "" if key is None else f" · key {key}", extra={"fields": fields},
            )  # fmt: skip

    def count(self, status: int, refusal: str = "") -> None:
        """Count one answer; without a status, the client left before there was one."""
        counters = self._counters
        if status:
            counters.statuses[status if status in counters.statuses else 0] += 1
        if status == 0:
            refusal = "left"
        elif status >= 400 and not refusal:
            refusal = _REFUSALS.get(status, "bad_request" if status < 500 else "error")
        if refusal:
            counters.refusals[refusal] += 1


def _read_id(headers: list[tuple[bytes, bytes]]) -> str:
    """Return the request's id: the client's, if it is short and harmless in a log, or a new one."""
    for name, value in headers:
        if name == _ID_NAME and _ID.fullmatch(value):
            return value.decode()
    return os.urandom(16).hex()


def _refuse_without_key(path: str) -> JSONResponse:
    # A browser asks its user for a name, which does not matter, and a password: the key.
    scheme = "Basic" if path.startswith(_CONSOLE) else "Bearer"
    message = (
        "no valid key: send one in the header Authorization (Bearer KEY) or "
        f"{HEADER}; who runs this service gives keys out"
    )
    headers = {"www-authenticate": f'{scheme} realm="model service"'}
    return JSONResponse({"error": message}, 401, headers)


def _refuse_here(path: str) -> JSONResponse:
    return JSONResponse({"error": f"{path} is not served on this port"}, 404)
