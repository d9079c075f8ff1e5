"""Start the front ends, own the device for them, and end when they have ended."""

import logging
import multiprocessing
import os
import signal
import socket
import time
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING

from service.errors import OperatorError
from service.front_ends.channel import Channel, make_channels
from service.front_ends.device_server import DeviceServer
from service.front_ends.front_end import Config, Serve, run_front_end
from service.front_ends.shared_counters import SharedCounters, publish_regularly
from service.gpu.metrics import read_uuids
from service.listener import bind, explain_address, get_url
from service.loaded_model import LoadedModel, Step
from service.machine import seconds_since_process_start
from service.runner.watch import EXIT_STATUS, HealthWatch
from service.settings import Settings
from service.startup import load_model

if TYPE_CHECKING:
    from service.gpu.engine import DeviceEngine

log = logging.getLogger("service")

CHANNELS = 4
"""Channels of each front end: batches under way at the same time. With fewer, an image waits until
a batch is back, and misses the batch that is computed next."""
_PATIENCE_S = 5.0
"""Seconds that a front end may take to end, beyond its drain and shutdown."""


def supervise(serve: Serve, settings: Settings) -> int:
    """Load the model, start the front ends, and wait until they end; returns the exit status.

    Args:
        serve: runs in each front end; a function of a module, so that it can be sent there.
        settings: with more than one front end.

    Raises:
        OperatorError: the service cannot start; no front end has been started.
    """
    check_settings(settings)
    listeners = bind_shared(settings)
    model = load_model(settings)
    from service.gpu.engine import DeviceEngine

    if not isinstance(model.plan.engine, DeviceEngine):
        raise OperatorError(
            f"--front-ends {settings.front_ends} is for a GPU that one process cannot feed (form "
            f"bf16), and this serves form {model.form.name}, which uses all cores in one process. "
            "Leave it out"
        )
    return _Supervisor(settings, model, model.plan.engine).run(listeners, serve)


def check_settings(settings: Settings) -> None:
    """Refuse settings that need a single process.

    Raises:
        OperatorError: names the setting.
    """
    if not hasattr(os, "memfd_create"):
        raise OperatorError("--front-ends: more than 1 needs Linux. Leave it out")
    options = {
        "--console": settings.console,
        "--admin-port": settings.admin_port is not None,
        "--decode gpu": settings.decode == "gpu",
    }
    for option in (option for option, is_set in options.items() if is_set):
        raise OperatorError(
            f"{option} needs the one process that does all, and --front-ends "
            f"{settings.front_ends} starts several. Leave out one of the two"
        )


def bind_shared(settings: Settings) -> list[socket.socket]:
    """Bind a socket for each front end to one port; the system distributes connections among them.

    (If all accepted from one socket, the first process to wake up would get most connections.)

    Raises:
        OperatorError: the port is in use, or there is no such address.
    """
    with bind(settings) as alone:  # fails if another service's front ends share the port
        family, address = alone.family, alone.getsockname()
    listeners = [socket.socket(family) for _ in range(settings.front_ends)]
    for listener in listeners:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            listener.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            listener.bind(address)
        except OSError as error:
            raise explain_address(settings, error) from None
        # From now on `bind` of another service fails, as it must: the port is taken.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return listeners


class _Supervisor:
    def __init__(self, settings: Settings, model: LoadedModel, engine: "DeviceEngine") -> None:
        self._settings = settings
        self._model = model
        self._engine = engine
        self._processes: list[SpawnProcess] = []
        self._controls: list[Connection[str, str]] = []
        self._stopping = False
        self._status = 0

    def run(self, listeners: list[socket.socket], serve: Serve) -> int:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _frame: self._stop(number))
        url, channels = get_url(listeners[0]), self._start(listeners, serve)
        server = DeviceServer(self._engine, self._model.plan.layout, channels)
        watch = HealthWatch(
            self._engine.check_health, self._abandon, self._settings.shutdown_seconds
        )
        self._wait(url)
        if watch.reason is not None:  # a thread may wait for the device for ever
            return EXIT_STATUS
        watch.close()
        server.join()
        self._model.close()
        return self._status

    def _start(self, listeners: list[socket.socket], serve: Serve) -> list[Channel]:
        """Start all front ends; returns the owner's ends of their channels."""
        model, plan, engine = self._model, self._model.plan, self._engine
        count, side = len(listeners), model.manifest.preprocessing.crop
        most = -(-plan.layout.max_batch // count)  # one batch of each front end fills the device's
        counters = SharedCounters(count, list(engine.times()))
        publish_regularly(lambda: counters.publish_times(engine.times()))
        uuids, channels = read_uuids(engine.torch_names), list[Channel]()
        # Ctrl-C in a terminal would end a new process with a traceback. So SIGINT is blocked, which
        # the process inherits, until it can handle the signal. (The start of multiprocessing's
        # tracker unblocks SIGINT here, so the first process must not be what starts it.)
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        for number, listener in enumerate(listeners):
            pairs = make_channels(CHANNELS, most, (side, side, 3), len(model.manifest.labels))
            control, remote_control = multiprocessing.Pipe()
            config = Config(
                number=number,
                settings=self._settings,
                listener=listener,
                control=remote_control,
                channels=[remote for _, remote in pairs],
                counters=counters,
                form=model.form,
                digest=model.bundle.digest,
                environment_differences=model.environment_differences,
                runtime=engine.runtime,
                device=engine.device,
                uuids=uuids,
                service_s=plan.service_s,
                interval_s=plan.interval_s * count,
            )
            process = multiprocessing.get_context("spawn").Process(
                target=run_front_end, args=(config, serve), daemon=True
            )
            process.start()
            self._processes.append(process)
            self._controls.append(control)
            # Only the new process may hold its ends: when it ends, the other ends are told.
            listener.close()
            remote_control.close()
            for local, remote in pairs:
                channels.append(local)
                remote.connection.close()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        if self._stopping:  # processes that were started after the signal have not received it
            self._signal_all(signal.SIGTERM)
        return channels

    def _wait(self, url: str) -> None:
        """Wait until the last front end has ended; log when all are ready."""
        running = {process.sentinel: number for number, process in enumerate(self._processes)}
        starting, ready = set(self._controls), 0
        kill_at: float | None = None
        while running:
            left_s = None if kill_at is None else max(0.0, kill_at - time.monotonic())
            events = wait([*running, *starting], left_s)
            if not events:
                self._signal_all(signal.SIGKILL)
                kill_at = None
            for event in events:
                if isinstance(event, Connection):
                    starting.discard(event)
                    with suppress(OSError, EOFError):  # it ended before it was ready
                        event.recv()
                        ready += 1
                elif isinstance(event, int) and self._note_end(running.pop(event)):
                    settings = self._settings
                    longest_s = settings.drain_seconds + settings.shutdown_seconds + _PATIENCE_S
                    kill_at = time.monotonic() + longest_s
            if ready == len(self._processes):
                ready = 0
                text = f"{url} · {len(self._processes)} front ends"
                Step("ready", text, seconds_since_process_start() * 1000, url).log()

    def _note_end(self, number: int) -> bool:
        """Return whether this front end ended unasked; then the others have been told to end."""
        self._processes[number].join()
        status = self._processes[number].exitcode or 0
        if self._stopping:
            self._status = self._status or max(0, status)
            return False
        log.error("front end %d ended with %d; ending the others", number, status)
        self._status = EXIT_STATUS
        self._stop(signal.SIGTERM)
        return True

    def _stop(self, number: int) -> None:
        """Pass a signal on to all front ends."""
        if not self._stopping:
            log.info("stop     %d front ends are told to end", len(self._processes))
        self._stopping = True
        self._signal_all(number)

    def _signal_all(self, number: int) -> None:
        for process in self._processes:
            if process.pid is not None and process.exitcode is None:
                os.kill(process.pid, number)

    def _abandon(self) -> None:
        """Tell each front end that the device is lost: it answers 503 and ends."""
        self._stopping = True
        reason = self._engine.check_health() or "the device is lost"
        for control in self._controls:
            with suppress(OSError):
                control.send(reason)
