"""Starts the front ends, owns the device for them, and ends when they have ended."""

import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from service.errors import OperatorError
from service.front_ends.channel import Channel, Shape, new_memory, pair_of_ends
from service.front_ends.device_server import DeviceOwner
from service.front_ends.shared_counters import Board, publish_regularly
from service.front_ends.worker_config import Facts, Seat
from service.gpu.metrics import uuids_of
from service.listener import format_url, shared_by
from service.loaded_model import LoadedModel
from service.machine import seconds_since_process_start
from service.runner.watch import EXIT_STATUS, HealthWatch
from service.settings import Settings

if TYPE_CHECKING:
    from service.gpu.engine import DeviceEngine

log = logging.getLogger("service")

CHANNELS = 4
"""Of each front end: batches on their way at the same time. With fewer, an image would wait until
one is back, and miss the batch that is computed next."""
_PATIENCE_S = 5.0
"""Beyond all that a front end may take to end."""


def check_settings(settings: Settings) -> None:
    """Before anything is loaded.

    Raises:
        OperatorError: a setting that needs a single process.
    """
    if not hasattr(os, "memfd_create"):
        raise OperatorError("--front-ends: more than 1 needs Linux. Leave it out")
    for option, is_set in (("--console", settings.console),
                           ("--decode gpu", settings.decode == "gpu")):  # fmt: skip
        if is_set:
            raise OperatorError(
                f"{option} needs the one process that does all, and --front-ends "
                f"{settings.front_ends} starts several. Leave out one of the two"
            )


def supervise(
    settings: Settings, listener: socket.socket, load_model: Callable[[Settings], LoadedModel]
) -> int:
    """Load the model, start the front ends, and wait for their end; returns the exit status.

    Raises:
        OperatorError: what stands against it, before a front end was started.
    """
    check_settings(settings)
    model = load_model(settings)
    from service.gpu.engine import DeviceEngine

    engine = model.runner.engine
    if not isinstance(engine, DeviceEngine):
        raise OperatorError(
            f"--front-ends {settings.front_ends} is for a GPU that one process cannot feed (form "
            f"bf16), and this serves form {model.form.name}, which uses all cores in one process. "
            "Leave it out"
        )
    return _Supervisor(settings, listener, model, engine).run()


class _Supervisor:
    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        model: LoadedModel,
        engine: "DeviceEngine",
    ) -> None:
        self._settings = settings
        self._model = model
        self._engine = engine
        self._processes: list[subprocess.Popen[bytes]] = []
        self._controls: list[socket.socket] = []
        self._stopping = False
        self._status = 0
        self._listeners = shared_by(settings.front_ends, settings, listener)
        self._url = format_url(self._listeners[0])

    def run(self) -> int:
        """Everything; returns the exit status."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _frame: self._stop(number))
        owner = self._start()
        watch = HealthWatch(self._engine, self._abandon, self._settings.shutdown_seconds)
        self._wait()
        if watch.reason is not None:  # a thread may wait for the device for ever
            return EXIT_STATUS
        watch.close()
        owner.join()
        self._model.close()
        return self._status

    def _start(self) -> DeviceOwner:
        """All processes, and what they share with this one."""
        facts = self._facts()
        board = Board(facts.board, facts.of, facts.buckets)
        channels: list[Channel] = []
        for number, listener in enumerate(self._listeners):
            channels += self._start_one(number, listener, facts)
        if self._stopping:  # those that were started after the signal have not heard it
            self._signal_all(signal.SIGTERM)
        os.close(facts.board)
        publish_regularly(lambda: board.publish_times(self._engine.times()))
        return DeviceOwner(self._engine, channels, self._model.runner.layout.max_batch)

    def _facts(self) -> Facts:
        count, runner = self._settings.front_ends, self._model.runner
        side, classes = self._model.manifest.preprocessing.crop, len(self._model.manifest.labels)
        buckets = list(self._engine.times())
        return Facts(
            of=count,
            owner=os.getpid(),
            # A full batch of the device is one of each front end.
            shape=Shape(-(-runner.layout.max_batch // count), side, side, classes),
            board=new_memory(Board.bytes(count, buckets)),
            buckets=buckets,
            uuids=uuids_of(pipeline.device.torch_name for pipeline in self._engine.pipelines),
            form=self._model.form.name,
            digest=self._model.bundle.digest,
            environment_differences=self._model.environment_differences,
            runtime=self._engine.runtime,
            device=self._engine.device,
            service_s=runner.admission.service_s,
            interval_s=runner.admission.interval_s * count,
        )

    def _start_one(self, number: int, listener: socket.socket, facts: Facts) -> list[Channel]:
        """One front end; returns our ends of its channels."""
        pairs = [_Pair(facts.shape) for _ in range(CHANNELS)]
        control, theirs = pair_of_ends()
        seat = Seat(
            **facts.model_dump(),
            number=number,
            listener=listener.fileno(),
            control=theirs.fileno(),
            channels=[(pair.theirs.fileno(), pair.memory) for pair in pairs],
        )
        self._processes.append(
            subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                env=seat.environment(),
                pass_fds=seat.file_descriptors(),
                start_new_session=True,  # Ctrl-C is heard here, and passed on
            )
        )
        self._controls.append(control)
        listener.close()
        theirs.close()
        return [pair.opened() for pair in pairs]

    def _wait(self) -> None:
        """Until the last front end is gone: a control socket's end is its process's."""
        left, not_ready = set(self._controls), set(self._controls)
        kill_at: float | None = None
        with selectors.DefaultSelector() as selector:
            for number, control in enumerate(self._controls):
                selector.register(control, selectors.EVENT_READ, number)
            while left:
                rest = None if kill_at is None else max(0.0, kill_at - time.monotonic())
                ready = selector.select(rest)
                if not ready and kill_at is not None:
                    self._signal_all(signal.SIGKILL)
                    kill_at = None
                for key, _ in ready:
                    control = self._controls[key.data]
                    if _hears(control):
                        not_ready.discard(control)
                        if not not_ready:
                            self._log_ready()
                        continue
                    selector.unregister(control)
                    left.discard(control)
                    if self._note_end(key.data) and kill_at is None:
                        kill_at = time.monotonic() + self._longest_end_s()

    def _note_end(self, number: int) -> bool:
        """Whether this front end ended by itself, so that the others have been told to end."""
        status = self._processes[number].wait()
        if self._stopping:
            self._status = self._status or max(0, status)
            return False
        log.error("front end %d ended with %d; ending the others", number, status)
        self._status = EXIT_STATUS
        self._stop(signal.SIGTERM)
        return True

    def _longest_end_s(self) -> float:
        return self._settings.drain_seconds + self._settings.shutdown_seconds + _PATIENCE_S

    def _stop(self, number: int) -> None:
        """Pass a signal on."""
        if not self._stopping:
            log.info("stop     %d front ends are told to end", len(self._processes))
        self._stopping = True
        self._signal_all(number)

    def _signal_all(self, number: int) -> None:
        for process in self._processes:
            with suppress(OSError):
                process.send_signal(number)

    def _abandon(self) -> None:
        """The device is lost: each front end hears it, answers 503, and ends."""
        self._stopping = True
        reason = (self._engine.check_health() or "the device is lost").encode()
        for control in self._controls:
            with suppress(OSError):
                control.send(reason[:2000])

    def _log_ready(self) -> None:
        log.info(
            "ready    %s · %d front ends · %.2f s after the process started",
            self._url,
            len(self._processes),
            seconds_since_process_start(),
        )


class _Pair:
    """Both ends of a channel that is about to be."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self.memory = new_memory(shape.bytes)
        self._ours, self.theirs = pair_of_ends()

    def opened(self) -> Channel:
        """Our end, once the other process has inherited its own."""
        channel = Channel(self._ours, self.memory, self._shape)
        os.close(self.memory)
        self.theirs.close()
        return channel


def _hears(control: socket.socket) -> bool:
    """Whether there was a message, not the end."""
    try:
        return bool(control.recv(64))
    except OSError:
        return False
