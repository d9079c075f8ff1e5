"""The process around the application: socket, signals, drain, log. uvicorn does the serving."""

import asyncio
import logging
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from service.errors import StartupError
from service.front_ends.remote_engine import RemoteEngine
from service.front_ends.supervisor import supervise
from service.front_ends.worker_config import inherited
from service.gpu.watch import EXIT_STATUS, DeviceWatch, Watched
from service.listener import bind, listen, url_of
from service.machine import let_waiting_threads_sleep, seconds_since_process_start
from service.settings import Settings, settings_from
from service.startup import load_model

log = logging.getLogger("service")


def serve(create_app: Callable[[Settings], FastAPI]) -> None:
    """Run the service until SIGTERM or Ctrl-C. Exits with 0, or with 1 and one line of reason.

    The port is taken first, so that a port in use is found before a model is loaded, and listened
    on last, so that a connection is refused until the service is ready to answer.
    """
    # A container's first process ignores SIGTERM unless it says what to do with it (signal(7), and
    # pid_namespaces(7)).
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, _interrupted_before_ready)
    _configure_log()
    let_waiting_threads_sleep()
    try:
        settings = settings_from()
        if (seat := inherited()) is not None:
            _serve(create_app, settings, socket.socket(fileno=seat.listener))
        elif settings.front_ends > 1:
            with bind(settings) as listener:
                sys.exit(supervise(settings, listener, load_model))
        else:
            _serve(create_app, settings, bind(settings))
    except StartupError as error:
        sys.exit(f"error: {error}")


def _serve(
    create_app: Callable[[Settings], FastAPI], settings: Settings, listener: socket.socket
) -> None:
    with listener:
        app = create_app(settings)
        listen(listener, settings)
        server = _Server(app, settings, listener)
        server.run([listener])
        if server.device_lost:
            sys.exit(EXIT_STATUS)


def _interrupted_before_ready(signal_number: int, _: object) -> None:
    """Ctrl-C or SIGTERM while loading. Nothing is to be cleaned up, and a KeyboardInterrupt would
    turn into any other error where it hits the import of a C extension.
    """
    print("interrupted before the service was ready", file=sys.stderr)
    os._exit(128 + signal_number)


class _Server(uvicorn.Server):
    """uvicorn's server, with a drain before the shutdown."""

    def __init__(self, app: FastAPI, settings: Settings, listener: socket.socket) -> None:
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
        self._end_of_drain: asyncio.TimerHandle | None = None
        self._watch: DeviceWatch | None = None

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until stopped."""
        # Until `capture_signals`, Ctrl-C would end asyncio's start in the middle, with a traceback.
        signal.signal(signal.SIGINT, lambda *_: self._stop())
        super().run(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        engine = self._app.state.model.runner.engine
        if isinstance(engine, Watched):
            loop = asyncio.get_running_loop()
            self._watch = DeviceWatch(
                engine,
                lambda: loop.call_soon_threadsafe(self._abandon),
                self._settings.shutdown_seconds,
            )
        if isinstance(engine, RemoteEngine):
            engine.say_ready()
            return
        log.info(
            "ready    %s · %.2f s after the process started",
            url_of(self._listener),
            seconds_since_process_start(),
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Instead of uvicorn's own, which ends the process by the signal after a clean shutdown."""
        loop = asyncio.get_running_loop()
        for ending in (signal.SIGTERM, signal.SIGHUP):  # told to end; the terminal was closed
            loop.add_signal_handler(ending, self._drain)
        loop.add_signal_handler(signal.SIGINT, self._stop)
        yield

    @property
    def device_lost(self) -> bool:
        """Whether that ended it."""
        return self._watch is not None and self._watch.reason is not None

    def _abandon(self) -> None:
        """The device is lost: not ready any more, every request is answered 503; then stop."""
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
        """Close the listener, finish the requests in flight; asked a second time, do not wait."""
        if self._end_of_drain is not None:
            self._end_of_drain.cancel()
        log.info("stop     finishing requests in flight")
        self.force_exit = self.should_exit
        self.should_exit = True


def _configure_log() -> None:
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s.%(msecs)03d %(levelname)-7s %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    if inherited() is not None:  # what happens to all is said once, by the process above
        log.setLevel(logging.WARNING)
    # uvicorn's own start and stop lines repeat ours.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    # What these say of a client's odd input, its answer says.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="PIL")
