"""The process around the application: socket, signals, log. `web/http_server.py` serves HTTP."""

import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial

from fastapi import FastAPI

from service.errors import OperatorError
from service.loaded_model import Step
from service.machine import seconds_since_process_start
from service.settings import Settings, settings_from

CreateApp = Callable[..., FastAPI]
"""`inference_service.create_app(settings, load)`; `load` may be left out."""


def serve(create_app: CreateApp) -> None:
    """Run the service until SIGTERM or Ctrl-C. Exits with 0, or with 1 and one line of reason.

    The port is taken first, so that a port in use is found before a model is loaded, and listened
    on last, so that a connection is refused until the service is ready to answer.
    """
    prepare_process()
    try:
        settings = settings_from()
        from service.listener import bind, bind_admin
        from service.telemetry.log import configure_log

        configure_log(settings.log_format)
        if settings.front_ends > 1:
            from service.front_ends.front_end import serve_front_end
            from service.front_ends.supervisor import supervise

            front_end = partial(serve_front_end, create_app, prepare_process, run)
            sys.exit(supervise(front_end, settings))
        with bind(settings) as listener, bind_admin(settings) as admin:
            if settings.api_keys is not None or settings.console:
                from service.web.keys import check_keys

                check_keys(settings.api_keys, settings.console, listener)
            if settings.console:
                from service.console.routes import add_console

                app = add_console(create_app, settings)
            else:
                app = create_app(settings)
            sys.exit(run(app, settings, listener, _say_ready, admin))
    except OperatorError as error:
        sys.exit(f"error: {error}")


def prepare_process() -> None:
    """Prepare signals, standard files and memory of a process that will serve."""
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, _interrupted_before_ready)
    from service.runner import tuning

    tuning.open_standard_files()
    tuning.let_waiting_threads_sleep()
    tuning.give_large_memory_back()


def run(
    app: FastAPI,
    settings: Settings,
    listener: socket.socket,
    announce: Callable[[socket.socket], object],
    admin: socket.socket | None = None,
) -> int:
    """Listen, serve and drain; returns the exit status.

    Args:
        app: with its model loaded.
        settings: the times of drain and shutdown.
        listener: bound, not listening yet.
        announce: called once, when the first request can be answered.
        admin: bound to the port for operators, if it is another one.

    Raises:
        OperatorError: another process came first since the port was taken.
    """
    # What only a running server needs is imported here.
    from service.listener import listen
    from service.web.http_server import Server

    if settings.open_inference:
        from service.protocols.open_inference import add_routes

        add_routes(app)
    server = Server(app, settings, listener, announce, admin)
    for each in filter(None, (listener, admin)):
        listen(each, settings)
    server.run([listener])
    return server.exit_status


def _say_ready(listener: socket.socket) -> None:
    from service.listener import get_url, notify

    url = get_url(listener)
    Step("ready", url, seconds_since_process_start() * 1000, url).log()
    notify("READY=1")


def _interrupted_before_ready(signal_number: int, _: object) -> None:
    """End the process on Ctrl-C or SIGTERM while it loads.

    Nothing is to be cleaned up, and a KeyboardInterrupt that hits the import of a C extension
    would turn into some other error.
    """
    print("interrupted before the service was ready", file=sys.stderr)
    os._exit(128 + signal_number)
