"""The process around the application: socket, signals, drain, log. uvicorn serves HTTP."""

import asyncio
import logging
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

from service.errors import OperatorError
from service.listener import bind, get_url, listen
from service.loaded_model import LoadedModel, Step
from service.machine import (
    give_large_memory_back,
    let_waiting_threads_sleep,
    seconds_since_process_start,
)
from service.settings import Settings, settings_from

if TYPE_CHECKING:
    from service.runner.watch import HealthWatch

log = logging.getLogger("service")


CreateApp = Callable[..., FastAPI]
"""`inference_service.create_app(settings, load)`; `load` may be left out."""


def serve(create_app: CreateApp) -> None:
    """Run the service until SIGTERM or Ctrl-C. Exits with 0, or with 1 and one line of reason.

    The port is taken first, so that a port in use is found before a model is loaded, and listened
    on last, so that a connection is refused until the service is ready to answer.
    """
    _prepare_process()
    try:
        settings = settings_from()
        if settings.front_ends > 1:
            from service.front_ends.supervisor import supervise

            sys.exit(supervise(partial(serve_front_end, create_app), settings))
        with bind(settings) as listener:
            if settings.console:
                from service.console.routes import add_console

                app = add_console(create_app, settings)
            else:
                app = create_app(settings)
            sys.exit(run(app, settings, listener, _log_ready))
    except OperatorError as error:
        sys.exit(f"error: {error}")


def serve_front_end(
    create_app: CreateApp,
    settings: Settings,
    load: Callable[[Settings], LoadedModel],
    listener: socket.socket,
    announce: Callable[[socket.socket], object],
) -> int:
    """Serve in the process of a front end, with a model that another process has loaded."""
    _prepare_process()
    try:
        return run(create_app(settings, load), settings, listener, announce)
    except OperatorError as error:
        sys.exit(f"error: {error}")


def _prepare_process() -> None:
    # A container's first process ignores SIGTERM unless it says what to do with it (signal(7), and
    # pid_namespaces(7)).
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, _interrupted_before_ready)
    configure_log()
    let_waiting_threads_sleep()
    give_large_memory_back()


def run(
    app: FastAPI,
    settings: Settings,
    listener: socket.socket,
    announce: Callable[[socket.socket], object],
) -> int:
    """Listen, serve and drain; returns the exit status.

    Args:
        app: with its model loaded.
        settings: the times of drain and shutdown.
        listener: bound, not listening yet.
        announce: called once, when the first request can be answered.

    Raises:
        OperatorError: another process came first since the port was taken.
    """
    listen(listener, settings)
    server = _Server(app, settings, listener, announce)
    server.run([listener])
    return server.exit_status


def _log_ready(listener: socket.socket) -> None:
    url = get_url(listener)
    Step("ready", url, seconds_since_process_start() * 1000, url).log()


def _interrupted_before_ready(signal_number: int, _: object) -> None:
    """End the process on Ctrl-C or SIGTERM while it loads.

    Nothing is to be cleaned up, and a KeyboardInterrupt that hits the import of a C extension
    would turn into some other error.
    """
    print("interrupted before the service was ready", file=sys.stderr)
    os._exit(128 + signal_number)


class _Server(uvicorn.Server):
    """uvicorn's server, with a drain before the shutdown."""

    def __init__(
        self,
        app: FastAPI,
        settings: Settings,
        listener: socket.socket,
        announce: Callable[[socket.socket], object],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=settings.access_log,
                timeout_graceful_shutdown=settings.shutdown_seconds,
            )
        )
        self._app = app
        self._settings = settings
        self._listener = listener
        self._announce = announce
        self._end_of_drain: asyncio.TimerHandle | None = None
        self._watch: HealthWatch | None = None

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until stopped."""
        # Until `capture_signals`, Ctrl-C would end asyncio's start in the middle, with a traceback.
        signal.signal(signal.SIGINT, lambda *_: self._stop())
        super().run(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        model: LoadedModel = self._app.state.model
        from service.runner.watch import HealthWatch

        loop = asyncio.get_running_loop()
        self._watch = HealthWatch(
            model.check_health,
            lambda: loop.call_soon_threadsafe(self._abandon),
            self._settings.shutdown_seconds,
        )
        self._announce(self._listener)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Drain on signals; uvicorn's own method would end the process by the signal."""
        loop = asyncio.get_running_loop()
        for ending in (signal.SIGTERM, signal.SIGHUP):  # told to end; the terminal was closed
            loop.add_signal_handler(ending, self._drain)
        loop.add_signal_handler(signal.SIGINT, self._stop)
        yield

    @property
    def exit_status(self) -> int:
        """0, unless the process could not answer any more."""
        return 0 if self._watch is None else self._watch.exit_status

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
        log.info("drain    not ready any more, stopping in %g s", self._settings.drain_seconds)
        loop = asyncio.get_running_loop()
        self._end_of_drain = loop.call_later(self._settings.drain_seconds, self._stop)

    def _stop(self) -> None:
        """Close the listener and finish the requests in flight; the second call does not wait."""
        if self._end_of_drain is not None:
            self._end_of_drain.cancel()
        log.info("stop     finishing requests in flight")
        self.force_exit = self.should_exit
        self.should_exit = True


def configure_log() -> None:
    """Write log lines with a time to standard error, and silence what they repeat."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s.%(msecs)03d %(levelname)-7s %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    # uvicorn's own start and stop lines repeat ours.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    # What these say of a client's odd input, its answer says.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="PIL")
