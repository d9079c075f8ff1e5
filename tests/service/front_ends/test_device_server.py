"""What the device's owner makes of the batches of all front ends."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from service.engines.base import Images, Probabilities
from service.errors import DeviceLostError
from service.front_ends.channel import Channel
from service.front_ends.device_server import DeviceServer
from service.runner.plan import Layout
from tests.conftest import wait_until
from tests.service.front_ends.test_channel import CLASSES, images_of, make_pairs


class SlowEngine:
    """Answers each image with its first pixel; waits at a gate; fails if there is a 13."""

    runtime, device = "none", "cpu"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[list[int]] = []
        self.lost = False

    def __call__(self, images: Images) -> Probabilities:
        values = [int(image[0, 0, 0]) for image in images]
        self.batches.append(values)
        assert self.gate.wait(10)
        if self.lost:
            raise DeviceLostError("cuda:0 fell off the bus")
        if 13 in values:
            raise ValueError("an unlucky image")
        return np.array([[value] * CLASSES for value in values], np.float32)


@pytest.fixture
def engine() -> SlowEngine:
    return SlowEngine()


@contextmanager
def serve_device(engine: SlowEngine, count: int) -> Iterator[tuple[DeviceServer, list[Channel]]]:
    """Serve `count` channels by one device in batches of 6; one can be copied meanwhile."""
    pairs = make_pairs(count)
    layout = Layout(workers=0, lanes=2, max_batch=6, overlapping=1)
    server = DeviceServer(engine, layout, [ours for ours, _ in pairs])
    try:
        yield server, [theirs for _, theirs in pairs]
    finally:
        engine.gate.set()
        for _, theirs in pairs:
            theirs.connection.close()
        server.join()


def test_each_batch_gets_its_own_answers(engine: SlowEngine) -> None:
    with serve_device(engine, 1) as (_, (channel,)):
        for values in ((3,), (7, 8, 9, 10), (1, 2)):
            answers = channel.ask(images_of(*values))
            assert answers.tolist() == [[value] * CLASSES for value in values]


def test_batches_of_several_front_ends_are_computed_together(engine: SlowEngine) -> None:
    engine.gate.clear()
    with serve_device(engine, 4) as (server, channels), ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(channels[0].ask, images_of(1))]
        wait_until(lambda: engine.batches == [[1]])
        jobs += [pool.submit(one.ask, images_of(2, 3)) for one in channels[1:3]]
        wait_until(lambda: len(server._waiting) == 2)
        assert len(engine.batches) == 1  # the device is busy: they gather
        jobs.append(pool.submit(channels[3].ask, images_of(4, 5)))
        wait_until(lambda: len(engine.batches) == 2)  # a full batch is copied meanwhile
        engine.gate.set()
        answers = [job.result(10)[:, 0].tolist() for job in jobs]
    assert answers == [[1], [2, 3], [2, 3], [4, 5]]
    assert sorted(engine.batches[1]) == [2, 2, 3, 3, 4, 5]
    assert len(engine.batches) == 2


def test_a_batch_that_does_not_fit_waits_for_the_next(engine: SlowEngine) -> None:
    engine.gate.clear()
    with serve_device(engine, 4) as (_, channels), ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(channels[0].ask, images_of(0))]
        wait_until(lambda: engine.batches == [[0]])
        jobs += [pool.submit(one.ask, images_of(1, 2, 3, 4)) for one in channels[1:]]
        wait_until(lambda: len(engine.batches) == 2)
        engine.gate.set()
        for job in jobs:
            job.result(10)
    assert [len(batch) for batch in engine.batches] == [1, 4, 4, 4]


def test_a_failed_batch_fails_one_front_end_only(engine: SlowEngine) -> None:
    engine.gate.clear()
    with serve_device(engine, 3) as (server, channels), ThreadPoolExecutor(3) as pool:
        first = pool.submit(channels[0].ask, images_of(1))
        wait_until(lambda: engine.batches == [[1]])
        good = pool.submit(channels[1].ask, images_of(2, 3))
        bad = pool.submit(channels[2].ask, images_of(13))
        wait_until(lambda: len(server._waiting) == 2)
        engine.gate.set()
        assert first.result(10)[0, 0] == 1
        assert good.result(10)[:, 0].tolist() == [2, 3]
        with pytest.raises(RuntimeError, match="an unlucky image"):
            bad.result(10)
        assert channels[2].ask(images_of(5))[0, 0] == 5


def test_a_lost_device_is_reported_to_each_asker(engine: SlowEngine) -> None:
    engine.lost = True
    with serve_device(engine, 2) as (_, channels):
        for channel in channels:
            with pytest.raises(DeviceLostError, match=r"fell off the bus; this process is ending"):
                channel.ask(images_of(1))
