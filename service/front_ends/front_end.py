"""A front end: a process that serves HTTP with a model that another process has loaded."""

import logging
import os
import queue
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection

import numpy as np
from fastapi import FastAPI

from service.artifact.verify import read_bundle, replay
from service.engines.base import Form, Images, Probabilities
from service.errors import DeviceLostError, OperatorError
from service.front_ends.channel import OWNER_GONE, Channel
from service.front_ends.shared_counters import SharedCounters, publish_regularly
from service.gpu.metrics import GpuCollector, open_nvml
from service.loaded_model import LoadedModel, Shared, Step
from service.machine import available_cores
from service.preprocessing import preprocess
from service.runner.plan import Layout, Plan
from service.settings import Settings
from service.startup import start_runner

Load = Callable[[Settings], LoadedModel]
Announce = Callable[[socket.socket], object]
Serve = Callable[[Settings, Load, socket.socket, Announce], int]
"""Loads the model, serves it at the socket until stopped, and returns the exit status; announces
when the first request can be answered."""


def serve_front_end(
    create_app: Callable[[Settings, Load], FastAPI],
    prepare_process: Callable[[], None],
    run: Callable[[FastAPI, Settings, socket.socket, Announce], int],
    settings: Settings,
    load: Load,
    listener: socket.socket,
    announce: Announce,
) -> int:
    """Serve in the process of a front end, with a model that another process has loaded.

    The first three arguments are functions of `service.inference_service` and `service.server`,
    which must not be imported here.
    """
    from service.telemetry.log import configure_log

    prepare_process()
    configure_log(settings.log_format)
    try:
        return run(create_app(settings, load), settings, listener, announce)
    except OperatorError as error:
        sys.exit(f"error: {error}")


@dataclass(frozen=True, slots=True)
class Config:
    """All that the owner sends to the process of a front end."""

    number: int
    settings: Settings
    listener: socket.socket
    """Bound, not listening yet."""
    control: "Connection[str, str]"
    """Tells the owner that this front end is ready, and receives why the device is lost."""
    channels: list[Channel]
    counters: SharedCounters
    form: Form
    digest: str
    """Digest of the bundle that the owner has verified."""
    environment_differences: list[str]
    runtime: str
    device: str
    uuids: Mapping[str, str]
    """UUIDs of the GPUs, by torch name."""
    service_s: float
    """Seconds of one request alone."""
    interval_s: float
    """Seconds between two answers of one front end when all are busy."""


def run_front_end(config: Config, serve: Serve) -> None:
    """Serve until stopped, then exit. The target of the new process, in which SIGINT is blocked.

    In a session of its own it does not receive Ctrl-C from the terminal: the owner passes it on.
    """
    os.setsid()
    signal.signal(signal.SIGINT, lambda number, _frame: os._exit(128 + number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    logging.getLogger("service").setLevel(logging.WARNING)
    load, announce = partial(connect_model, config), lambda _: config.control.send("ready")
    sys.exit(serve(config.settings, load, config.listener, announce))


class RemoteEngine:
    """An engine that sends batches to the owner. Called by as many threads as it has channels."""

    def __init__(self, config: Config) -> None:
        self.runtime = config.runtime
        self.device = config.device
        self._control = config.control
        self._most = len(config.channels[0].pixels)
        self._reason: str | None = None
        self._free: queue.LifoQueue[Channel] = queue.LifoQueue()
        for channel in config.channels:
            self._free.put(channel)

    def __call__(self, images: Images) -> Probabilities:
        """Classify images, uint8 H × W × 3 each; returns float32 N × classes.

        Raises:
            DeviceLostError: the device is lost, or its owner has ended.
            RuntimeError: this batch failed.
        """
        parts = []
        for start in range(0, len(images), self._most):
            channel = self._free.get()
            try:
                parts.append(channel.ask(images[start : start + self._most]))
            finally:
                self._free.put(channel)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def check_health(self) -> str | None:
        """Return why this engine cannot answer any more, or None. Cheap; called each second."""
        try:
            if self._reason is None and self._control.poll():
                self._reason = self._control.recv()
        except (OSError, EOFError):
            self._reason = OWNER_GONE
        return self._reason


def connect_model(config: Config, settings: Settings) -> LoadedModel:
    """Connect to the device's owner, and check that the golden photos are answered right.

    Nothing else is verified or measured again: the owner has done it just before.

    Raises:
        OperatorError: the bundle was replaced meanwhile, or the answers are not right.
    """
    started = time.perf_counter()
    bundle, engine = read_bundle(settings.artifact, config.digest), RemoteEngine(config)
    try:
        replay(bundle, config.form, engine)
    except DeviceLostError as error:
        raise OperatorError(str(error)) from None
    prepare = partial(
        preprocess, settings=bundle.manifest.preprocessing, max_pixels=settings.max_pixels
    )
    lanes, decoders = (
        len(config.channels),
        max(1, available_cores(settings.cores) // settings.front_ends),
    )
    usage = open_nvml(config.uuids)
    plan = Plan(
        engine,
        prepare,
        Layout(decoders + lanes, lanes, max_batch=len(config.channels[0].pixels)),
        threads=1,
        costs_ms={},
        service_s=config.service_s,
        interval_s=config.interval_s,
        metrics=GpuCollector(config.counters.read_times, usage.read if usage else None),
        check_health=engine.check_health,
    )
    runner = start_runner(plan, settings, -(-settings.max_requests // settings.front_ends))
    publish_regularly(lambda: config.counters.publish_counters(config.number, runner.counters))
    took = Step("attach", "to the device's owner", (time.perf_counter() - started) * 1000)
    shared = Shared(config.counters.sum_counters, os.getppid())
    return LoadedModel(
        bundle, config.form, plan, runner, config.environment_differences, [took], shared
    )
