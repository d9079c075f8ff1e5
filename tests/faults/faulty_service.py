"""The service with a fault in it: `FAULT=hang python -m tests.faults.faulty_service`.

Each fault shows in every `EVERY`th call, or all the time.
"""

import itertools
import os
import threading
import time
from collections.abc import Callable

import numpy as np
from fastapi import FastAPI

from service.engines.base import Engine, Image, Images, Probabilities
from service.inference_service import create_app
from service.loaded_model import LoadedModel
from service.server import serve
from service.settings import Settings
from service.startup import load_model

EVERY = 20


def fail(error: type[Exception]) -> Callable[[], None]:
    def act() -> None:
        raise error("a fault that was planted")

    return act


def hang() -> None:
    threading.Event().wait()


ACTS: dict[str, Callable[[], None]] = {
    "exception": fail(RuntimeError),
    "memory": fail(MemoryError),
    "hang": hang,
}


class FaultyEngine:
    """An engine that fails in every `EVERY`th call."""

    def __init__(self, engine: Engine, act: Callable[[], None]) -> None:
        self.runtime, self.device = engine.runtime, engine.device
        self._engine, self._act = engine, act
        self._calls = itertools.count(1)

    def __call__(self, images: Images) -> Probabilities:
        if next(self._calls) % EVERY == 0:
            self._act()
        return self._engine(images)


def spoil(model: LoadedModel, fault: str) -> LoadedModel:
    """Plant the fault."""
    runner = model.runner
    where, _, kind = fault.partition(":")
    if where == "engine":
        runner.engine = FaultyEngine(runner.engine, ACTS[kind])
    elif where == "worker":
        prepare, calls = runner._prepare, itertools.count(1)

        def prepare_or_fail(data: bytes) -> Image:
            if next(calls) % EVERY == 0:
                ACTS[kind]()
            return prepare(data)

        runner._prepare = prepare_or_fail
    elif where == "answer":  # what the suite must notice: another image's answer
        engine = runner.engine

        class Wrong(FaultyEngine):
            def __call__(self, images: Images) -> Probabilities:
                return np.roll(engine(images), 1, axis=1)

        runner.engine = Wrong(engine, hang)
    return model


def jump_the_clock() -> None:
    """Move the time of day by days, back and forth, with each second."""
    real, jumps = time.time, (0.0, 2 * 86400.0, -3 * 86400.0, 365 * 86400.0)
    time.time = lambda: real() + jumps[int(real()) % len(jumps)]


def create(settings: Settings, load: Callable[[Settings], LoadedModel] = load_model) -> FastAPI:
    fault = os.environ.get("FAULT", "")
    if fault == "clock":
        jump_the_clock()
    return create_app(settings, lambda chosen: spoil(load(chosen), fault))


if __name__ == "__main__":
    serve(create)
