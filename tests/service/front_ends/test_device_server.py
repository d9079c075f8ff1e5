"""What processes that share a device say to each other, and what its owner makes of it."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from service.engines.base import PixelBatch, Probabilities
from service.errors import DeviceLostError
from service.front_ends.channel import Channel, Shape, new_memory, pair_of_ends
from service.front_ends.device_server import DeviceOwner
from service.front_ends.shared_counters import Board
from service.runner.jobs import Counters
from tests.conftest import wait_until

SHAPE = Shape(images=4, height=2, width=3, classes=5)


def channel_pair() -> tuple[Channel, Channel]:
    memory = new_memory(SHAPE.bytes)
    ours, theirs = pair_of_ends()
    pair = Channel(ours, memory, SHAPE), Channel(theirs, memory, SHAPE)
    os.close(memory)
    return pair


def images_of(*values: int) -> PixelBatch:
    return np.stack([np.full((2, 3, 3), value, np.uint8) for value in values])


class SlowEngine:
    """Answers each image with its first pixel; waits at a gate; fails where there is a 13."""

    devices, lanes = 1, 2

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[list[int]] = []
        self.lost = False

    def run_images(self, images: Sequence[PixelBatch]) -> Probabilities:
        values = [int(image[0, 0, 0]) for image in images]
        self.batches.append(values)
        assert self.gate.wait(10)
        if self.lost:
            raise DeviceLostError("cuda:0 fell off the bus")
        if 13 in values:
            raise ValueError("an unlucky image")
        return np.array([[value] * SHAPE.classes for value in values], np.float32)


@pytest.fixture
def engine() -> SlowEngine:
    return SlowEngine()


@contextmanager
def owned(engine: SlowEngine, count: int, max_batch: int = 6) -> Iterator[list[Channel]]:
    pairs = [channel_pair() for _ in range(count)]
    owner = DeviceOwner(engine, [ours for ours, _ in pairs], max_batch)
    try:
        yield [theirs for _, theirs in pairs]
    finally:
        engine.gate.set()
        for _, theirs in pairs:
            theirs.end.close()
        owner.join()


def test_an_answer_is_the_batch_s_own(engine: SlowEngine) -> None:
    with owned(engine, 1) as (channel,):
        for values in ((3,), (7, 8, 9, 10), (1, 2)):
            answers = channel.ask(images_of(*values))
            assert answers.tolist() == [[value] * SHAPE.classes for value in values]


def test_what_waits_in_several_front_ends_is_computed_together(engine: SlowEngine) -> None:
    engine.gate.clear()
    with owned(engine, 4) as channels, ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(channels[0].ask, images_of(1))]
        wait_until(lambda: engine.batches == [[1]])
        jobs += [pool.submit(one.ask, images_of(2, 3)) for one in channels[1:3]]
        time.sleep(0.1)
        assert len(engine.batches) == 1  # a device at work: they gather
        jobs.append(pool.submit(channels[3].ask, images_of(4, 5)))
        wait_until(lambda: len(engine.batches) == 2)  # a full batch is copied meanwhile
        engine.gate.set()
        answers = [job.result(10)[:, 0].tolist() for job in jobs]
    assert answers == [[1], [2, 3], [2, 3], [4, 5]]
    assert sorted(engine.batches[1]) == [2, 2, 3, 3, 4, 5]
    assert len(engine.batches) == 2


def test_a_batch_that_does_not_fit_waits_for_the_next(engine: SlowEngine) -> None:
    engine.gate.clear()
    with owned(engine, 4) as channels, ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(channels[0].ask, images_of(0))]
        wait_until(lambda: engine.batches == [[0]])
        jobs += [pool.submit(one.ask, images_of(1, 2, 3, 4)) for one in channels[1:]]
        wait_until(lambda: len(engine.batches) == 2)
        engine.gate.set()
        for job in jobs:
            job.result(10)
    assert [len(batch) for batch in engine.batches] == [1, 4, 4, 4]


def test_a_failed_batch_fails_its_own_front_end_only(engine: SlowEngine) -> None:
    engine.gate.clear()
    with owned(engine, 3) as channels, ThreadPoolExecutor(3) as pool:
        first = pool.submit(channels[0].ask, images_of(1))
        wait_until(lambda: engine.batches == [[1]])
        good = pool.submit(channels[1].ask, images_of(2, 3))
        bad = pool.submit(channels[2].ask, images_of(13))
        time.sleep(0.1)
        engine.gate.set()
        assert first.result(10)[0, 0] == 1
        assert good.result(10)[:, 0].tolist() == [2, 3]
        with pytest.raises(RuntimeError, match="an unlucky image"):
            bad.result(10)
        assert channels[2].ask(images_of(5))[0, 0] == 5


def test_a_lost_device_is_told_to_who_asks(engine: SlowEngine) -> None:
    engine.lost = True
    with owned(engine, 2) as channels:
        for channel in channels:
            with pytest.raises(DeviceLostError, match=r"fell off the bus; this process is ending"):
                channel.ask(images_of(1))


def test_who_asks_hears_that_the_owner_is_gone() -> None:
    ours, theirs = channel_pair()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(theirs.ask, images_of(1))
        assert ours.asked() == 1
        ours.end.close()
        with pytest.raises(DeviceLostError, match="owns the device has ended"):
            asked.result(10)
    with pytest.raises(DeviceLostError):
        theirs.ask(images_of(1))
    theirs.end.close()


def test_a_count_beyond_the_memory_is_cut_off() -> None:
    ours, theirs = channel_pair()
    theirs.end.send((1000).to_bytes(4, "little"))
    assert ours.asked() == SHAPE.images
    theirs.end.close()
    assert ours.asked() is None
    ours.deliver(np.zeros((1, SHAPE.classes), np.float32))  # nobody waits: no error
    ours.end.close()


def test_the_board_adds_up() -> None:
    buckets = [("cuda:0", 1), ("cuda:0", 8)]
    board = Board(new_memory(Board.bytes(2, buckets)), 2, buckets)
    one, other = Counters(admitted=5, answered=3), Counters(admitted=2, answered=2, refused=1)
    one.latency.observe(0.012)
    other.latency.observe(0.013)
    other.latency.observe(99)
    for number, counters in enumerate((one, other)):
        board.publish_counters(number, counters)
    together = board.all_counters()
    assert (together.admitted, together.answered, together.refused) == (7, 5, 1)
    assert together.inside == 2
    assert sum(together.latency.counts) == 3
    assert together.latency.sum_s == pytest.approx(99.025)
    assert board.times()["cuda:0", 8].batches == 0
