"""The runner: one call of the engine at a time, on one thread, never on the event loop's."""

import asyncio
import threading
import time

import numpy as np
import pytest

from service.engines.base import PixelBatch, Probabilities
from service.inference_runner import Inference, InferenceRunner


class CountingEngine:
    """Answers each image's first byte, slowly, and notes who called it and how often at once."""

    runtime = "none"
    device = "cpu"

    def __init__(self) -> None:
        self.threads: set[str] = set()
        self.batches: list[int] = []
        self.running = 0
        self.most_at_once = 0

    def __call__(self, pixels: PixelBatch) -> Probabilities:
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        self.threads.add(threading.current_thread().name)
        self.batches.append(len(pixels))
        time.sleep(0.002)
        self.running -= 1
        return pixels[:, 0, 0, :1].astype(np.float32)


class FailingEngine(CountingEngine):
    def __call__(self, pixels: PixelBatch) -> Probabilities:
        if pixels[0, 0, 0, 0] == 13:
            raise RuntimeError("out of memory")
        return super().__call__(pixels)


def image(value: int) -> PixelBatch:
    return np.full((4, 4, 3), value, np.uint8)


def test_concurrent_requests_share_one_device_thread() -> None:
    engine = CountingEngine()
    runner = InferenceRunner(engine)

    async def ask() -> list[float]:
        answers = await asyncio.gather(*(runner.predict(image(value)) for value in range(50)))
        assert all(answer.timing_ms["queue"] >= 0 for answer in answers)
        assert all(answer.timing_ms["forward"] >= 2 for answer in answers)
        return [float(answer.probabilities[0]) for answer in answers]

    assert asyncio.run(ask()) == list(range(50))
    runner.close()
    assert engine.most_at_once == 1
    assert len(engine.threads) == 1
    assert threading.main_thread().name not in engine.threads


class WaitingEngine(CountingEngine):
    """Answers only once the event loop has turned meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.may_finish = threading.Event()

    def __call__(self, pixels: PixelBatch) -> Probabilities:
        assert self.may_finish.wait(timeout=30), "the event loop stood still"
        return super().__call__(pixels)


def test_event_loop_turns_while_the_device_works() -> None:
    engine = WaitingEngine()
    runner = InferenceRunner(engine)

    async def ask() -> float:
        answer = asyncio.create_task(runner.predict(image(7)))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not answer.done()
        engine.may_finish.set()
        return float((await answer).probabilities[0])

    assert asyncio.run(ask()) == 7
    runner.close()


def test_warm_up_and_batch() -> None:
    engine = CountingEngine()
    runner = InferenceRunner(engine)
    assert len(runner.warm_up((4, 4, 3), batches=4)) == 4
    assert runner.run_batch(np.stack([image(5), image(6)])).tolist() == [[5], [6]]
    assert engine.batches == [1, 1, 1, 1, 2]
    runner.close()


def test_a_failure_reaches_its_caller_only() -> None:
    runner = InferenceRunner(FailingEngine())

    async def ask() -> list[object]:
        jobs = (runner.predict(image(value)) for value in (12, 13, 14))
        return list(await asyncio.gather(*jobs, return_exceptions=True))

    before, failed, after = asyncio.run(ask())
    runner.close()
    assert isinstance(failed, RuntimeError)
    assert isinstance(before, Inference)
    assert isinstance(after, Inference)
    assert (before.probabilities.tolist(), after.probabilities.tolist()) == ([12], [14])


def test_closed_runner_takes_no_more() -> None:
    runner = InferenceRunner(CountingEngine())
    runner.close()
    with pytest.raises(RuntimeError):
        runner.run_batch(image(1)[None])
