"""uvicorn's server with this service's settings of HTTP, and a drain before the shutdown."""

import asyncio
import logging
import math
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp
from typing_extensions import override

from service.errors import OperatorError
from service.listener import accept_waiting, get_url, notify
from service.loaded_model import LoadedModel
from service.runner.watch import HealthWatch
from service.settings import Settings
from service.telemetry import start_tracing
from service.web.edge import DIGEST, DIGEST_DIGITS, HEADER_LENGTH, REQUEST_ID, Edge
from service.web.keys import HEADER, KeyFile
from service.web.predict_route import DEADLINE_HEADER
from service.web.protocol import SPARE, Connections, Protocol

log = logging.getLogger("service")

MARGIN = 16
"""File descriptors beyond connections: for files, the log, and a lookup in /proc."""
_OPEN_FILES = Path("/proc/self/fd")
_LEAST_CONNECTIONS = 8
_REPEAT_S = 10.0
_MOST_OPERATORS = 32
"""Connections to the admin port."""
_TICK_S = 0.1
"""Seconds between two calls of `on_tick` (uvicorn's `main_loop`)."""


def configure(app: ASGIApp, settings: Settings, digest: str = "") -> uvicorn.Config:
    """Return uvicorn's settings: all that HTTP is here, apart from what `Protocol` limits.

    Args:
        app: called with each request.
        settings: the service's.
        digest: of the bundle that is served; every answer carries the beginning of it.
    """
    if settings.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.cors_origins.split(","),
            allow_methods=["GET", "POST"],
            allow_headers=[
                "Content-Type",
                "Authorization",
                HEADER,
                DEADLINE_HEADER,
                REQUEST_ID,
                HEADER_LENGTH,
            ],
            expose_headers=["Retry-After", REQUEST_ID, DIGEST, HEADER_LENGTH],
        )
    return uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        log_config=None,
        access_log=False,  # `Edge` writes it
        server_header=False,
        headers=[(DIGEST, digest[:DIGEST_DIGITS]), ("X-Content-Type-Options", "nosniff")],
        root_path=settings.root_path,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


def limit_connections(settings: Settings) -> int:
    """Return how many connections the process may have; raises its limit of open files first.

    Raises:
        OperatorError: there are too few file descriptors to serve.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    if soft == resource.RLIM_INFINITY:
        return settings.max_connections
    used = len(list(_OPEN_FILES.iterdir())) if _OPEN_FILES.is_dir() else 4 * MARGIN
    others = used + MARGIN + SPARE
    if soft < others + _LEAST_CONNECTIONS:
        least = others + _LEAST_CONNECTIONS
        raise OperatorError(f"ulimit -n is {soft}: expected at least {least}. Raise it")
    most = min(settings.max_connections, soft - others)
    if most < settings.max_connections:
        log.warning(
            "limit    ulimit -n is %d: %d connections at most, not %d; raise it, or lower "
            "--max-connections",
            soft, most, settings.max_connections,
        )  # fmt: skip
    return most


class Server(uvicorn.Server):
    """uvicorn's server, with a drain before the shutdown."""

    server_state: Connections

    def __init__(
        self,
        app: FastAPI,
        settings: Settings,
        listener: socket.socket,
        announce: Callable[[socket.socket], object],
        admin: socket.socket | None = None,
    ) -> None:
        model: LoadedModel = app.state.model
        counters, digest = model.runner.counters, model.bundle.digest
        keys = None if settings.api_keys is None else KeyFile(settings.api_keys)
        self._tracer = start_tracing(settings, model)
        make_edge = partial(Edge, app, counters, keys, self._tracer, access_log=settings.access_log)
        edge = make_edge(public=admin is not None)
        super().__init__(configure(edge, settings, digest))
        self.server_state = Connections(edge, settings, limit_connections(settings))
        self._admin_listener = admin
        admin_edge = make_edge(admin=True)
        self._admin = Connections(admin_edge, settings, _MOST_OPERATORS)
        self._admin_config = configure(admin_edge, settings, digest)
        self._counters = counters
        self._due = math.inf
        self._app = app
        self._settings = settings
        self._listener = listener
        self._announce = announce
        self._end_of_drain: asyncio.TimerHandle | None = None
        self._watch: HealthWatch | None = None
        self._exhausted_at = -_REPEAT_S

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until stopped."""
        # Until `capture_signals`, Ctrl-C would end asyncio's start in the middle, with a traceback.
        signal.signal(signal.SIGINT, lambda *_: self._stop())
        super().run(sockets)

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        model: LoadedModel = self._app.state.model
        loop = asyncio.get_running_loop()
        self._watch = HealthWatch(
            model.check_health,
            lambda: loop.call_soon_threadsafe(self._abandon),
            self._settings.shutdown_seconds,
        )
        if self._admin_listener is not None:
            self._admin_config.load()
            self.servers.append(
                await loop.create_server(self._make_admin_protocol, sock=self._admin_listener)
            )
            log.info("admin    %s: metrics, /artifact, /docs", get_url(self._admin_listener))
        self._announce(self._listener)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Drain on signals; uvicorn's own method would end the process by the signal."""
        loop = asyncio.get_running_loop()
        for ending in (signal.SIGTERM, signal.SIGHUP):  # told to end; the terminal was closed
            loop.add_signal_handler(ending, self._drain)
        loop.add_signal_handler(signal.SIGINT, self._stop)
        yield

    async def on_tick(self, counter: int) -> bool:
        """Each 0.1 s. Returns whether to stop."""
        now = time.perf_counter()
        self._counters.loop_lag.observe(max(0.0, now - self._due))
        self._due = now + _TICK_S
        if counter % 10 == 0:
            self.server_state.report()
            self._check_descriptors()
        stop = await super().on_tick(counter)
        self._admin.default_headers = self.server_state.default_headers
        return stop

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        waiting = [accepted for listener in sockets or [] for accepted in accept_waiting(listener)]
        # Nothing waits from here to uvicorn's closing of the listener.
        connecting = [
            loop.create_task(loop.connect_accepted_socket(self._make_protocol, accepted))
            for accepted in waiting
        ]
        self._admin.stopping = True
        for connection in list(self._admin.connections):
            connection.shutdown()
        await super().shutdown(sockets)
        await asyncio.gather(*connecting, return_exceptions=True)
        if self._tracer is not None:
            await loop.run_in_executor(None, self._tracer.close)

    @property
    def exit_status(self) -> int:
        """0, unless the process could not answer any more."""
        return 0 if self._watch is None else self._watch.exit_status

    def _make_protocol(self) -> Protocol:
        return Protocol(self.config, self.server_state, self.lifespan.state)

    def _make_admin_protocol(self) -> Protocol:
        return Protocol(self._admin_config, self._admin, self.lifespan.state)

    def _check_descriptors(self) -> None:
        """Log when there are none: the event loop then closes new connections in silence."""
        now = time.monotonic()
        try:
            os.close(os.dup(self._listener.fileno()))
        except OSError as error:
            if now - self._exhausted_at >= _REPEAT_S:
                self._exhausted_at = now
                log.error("limit    no file descriptor is left: %s; raise ulimit -n", error)

    def _abandon(self) -> None:
        """Stop because no answer will come any more: the device is lost, or a worker is stuck."""
        self._app.state.draining = True
        self._stop()

    def _drain(self) -> None:
        """Say "not ready", serve on until load balancers have heard it, then shut down."""
        if self._app.state.draining:
            self._stop()
            return
        self._app.state.draining = True
        self.server_state.drain()
        notify("STOPPING=1")
        log.info("drain    not ready any more, stopping in %g s", self._settings.drain_seconds)
        loop = asyncio.get_running_loop()
        self._end_of_drain = loop.call_later(self._settings.drain_seconds, self._stop)

    def _stop(self) -> None:
        """Close the listener and finish the requests in flight; the second call does not wait."""
        if self._end_of_drain is not None:
            self._end_of_drain.cancel()
        log.info("stop     finishing requests in flight")
        self.server_state.drain()
        self.server_state.stopping = True
        self.force_exit = self.should_exit
        self.should_exit = True
