"""The runner: no work for nothing, nobody waits for nothing, nobody fails for another."""

import asyncio
import gc
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import numpy as np
import pytest

from service import inference_runner
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.verify import Bundle
from service.engines import FORMS, load_engine
from service.engines.base import Images, PixelBatch, Probabilities, stack
from service.errors import OverloadedError
from service.inference_runner import InferenceRunner
from service.preprocessing import preprocess
from service.runner.admission import Admission
from service.runner.jobs import Inference
from service.runner.plan import Layout
from tests.conftest import wait_until
from tests.service.engines_for_tests import CountingEngine, GatedEngine, PoisonedEngine, one_byte

ONE_LANE = Layout(workers=3, lanes=1, max_batch=16)
TWO_LANES = Layout(workers=2, lanes=2, max_batch=1)


def patient() -> Admission:
    """Lets everyone in: these tests are about what happens inside."""
    return Admission(target_s=1000, service_s=1e-9, interval_s=1e-9, lanes=2)


@contextmanager
def running(engine: CountingEngine, layout: Layout = ONE_LANE) -> Iterator[InferenceRunner]:
    runner = InferenceRunner(engine, one_byte, layout, patient(), queue_limit=40_000)
    yield runner
    if isinstance(engine, GatedEngine):
        engine.gate.set()
    runner.close()


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never happened")


async def classify(runner: InferenceRunner, value: int, deadline_s: float | None = None) -> float:
    return float((await runner.classify(bytes([value]), deadline_s)).probabilities[0])


def images(engine: CountingEngine) -> list[int]:
    return [value for batch in engine.batches for value in batch]


async def outcomes(jobs: list[Awaitable[object]]) -> list[object]:
    return list(await asyncio.gather(*jobs, return_exceptions=True))


@pytest.mark.parametrize("layout", [ONE_LANE, TWO_LANES], ids=["batches", "lanes"])
def test_each_gets_its_own_answer(layout: Layout) -> None:
    engine = CountingEngine()
    with running(engine, layout) as runner:

        async def ask() -> list[object]:
            return await outcomes([classify(runner, value) for value in range(100)])

        assert asyncio.run(ask()) == list(range(100))
    assert engine.most_at_once <= layout.lanes
    assert max(map(len, engine.batches)) <= layout.max_batch
    assert all(name.startswith("worker-") for name in engine.threads)
    counters = runner.counters
    assert (counters.admitted, counters.answered, counters.images) == (100, 100, 100)
    assert counters.batches == len(engine.batches)


def test_timing_adds_up() -> None:
    with running(CountingEngine(seconds=0.02)) as runner:

        async def ask() -> tuple[Inference, float]:
            started = time.perf_counter()
            answer = await runner.classify(b"x")
            return answer, (time.perf_counter() - started) * 1000

        answer, milliseconds = asyncio.run(ask())
        counted = runner.counters.latency
    timing = answer.timing_ms
    assert set(timing) == {"queue", "preprocess", "forward"}
    assert timing["forward"] >= 20
    assert all(part >= 0 for part in timing.values())
    assert sum(timing.values()) <= milliseconds
    assert sum(timing.values()) == pytest.approx(counted.sum * 1000)
    assert sum(counted.counts) == 1


def test_idle_device_starts_at_once_and_gathers_while_busy() -> None:
    engine = GatedEngine()
    with running(engine) as runner:

        async def ask() -> None:
            first = asyncio.create_task(classify(runner, 0))
            await until(lambda: len(engine.batches) == 1)  # alone: nothing else had come
            others = [asyncio.create_task(classify(runner, value)) for value in range(1, 21)]
            await until(lambda: len(runner._ready) == 20)
            engine.gate.set()
            assert [await one for one in (first, *others)] == list(range(21))

        asyncio.run(ask())
    assert engine.batches[0] == [0]
    assert sorted(images(engine)[1:]) == list(range(1, 21))
    assert len(engine.batches[1]) == 16  # all that had gathered, up to the largest batch


def test_event_loop_turns_while_the_device_works() -> None:
    engine = GatedEngine()
    with running(engine) as runner:

        async def ask() -> float:
            answer = asyncio.create_task(classify(runner, 7))
            await until(lambda: len(engine.batches) == 1)
            assert not answer.done()
            engine.gate.set()
            return await answer

        assert asyncio.run(ask()) == 7


def test_earliest_deadline_first() -> None:
    engine = GatedEngine()
    with running(engine, Layout(workers=1, lanes=1, max_batch=1)) as runner:

        async def ask() -> None:
            jobs = [asyncio.create_task(classify(runner, 0))]
            await until(lambda: len(engine.batches) == 1)
            for value, deadline_s in enumerate([30, 10, None, 20, 5], start=1):
                jobs.append(asyncio.create_task(classify(runner, value, deadline_s)))
                await asyncio.sleep(0)
            engine.gate.set()
            await outcomes(list(jobs))

        asyncio.run(ask())
    assert images(engine) == [0, 5, 2, 4, 1, 3]  # who names none means the target, here 2,000 s


def test_no_forward_for_the_expired_and_for_those_who_left() -> None:
    """10,000 requests, of which two in three stop waiting in the queue: none costs a forward."""
    engine = GatedEngine()
    with running(engine) as runner:

        async def ask() -> list[object]:
            blocker = asyncio.create_task(classify(runner, 99))
            await until(lambda: len(engine.batches) == 1)
            jobs = [
                asyncio.create_task(classify(runner, number % 3, 0.05 if number % 3 == 2 else 60))
                for number in range(10_000)
            ]
            await until(lambda: runner.counters.admitted == 10_001)
            for number, job in enumerate(jobs):
                if number % 3 == 1:
                    job.cancel()
            await asyncio.sleep(0.06)  # the deadlines of a third pass
            engine.gate.set()
            await blocker
            return await outcomes(list(jobs))

        answers = asyncio.run(ask())
    counters = runner.counters
    asked = sum(number % 3 == 0 for number in range(10_000))
    assert answers[::3] == [0.0] * asked
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[1::3])
    assert all(isinstance(answer, OverloadedError) for answer in answers[2::3])
    # Some had already been preprocessed and waited for the device: they are dropped there.
    assert set(images(engine)[1:]) == {0}
    assert (counters.images, counters.answered) == (asked + 1, asked + 1)
    assert (counters.left, counters.expired) == (3333, 3333)
    assert counters.admitted == counters.answered + counters.left + counters.expired


def test_deadline_that_passes_in_preprocessing_stops_the_forward(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inference_runner, "DEADLINE_S", 0.09)
    engine = CountingEngine()

    def slow(data: bytes) -> PixelBatch:
        time.sleep(0.1)
        return one_byte(data)

    runner = InferenceRunner(engine, slow, ONE_LANE, patient())

    async def ask() -> None:
        with pytest.raises(OverloadedError, match=r"waited \d+ ms, over its deadline"):
            await runner.classify(b"x", deadline_s=0.05)
        # Without a deadline of its own a request may be a large image.
        await runner.classify(b"x")

    asyncio.run(ask())
    runner.close()
    assert len(engine.batches) == 1
    assert runner.counters.expired == 1


@pytest.mark.parametrize("poison", [13, 14], ids=["raises", "NaN"])
def test_poison_in_a_batch_of_16_fails_alone(poison: int) -> None:
    class GatedPoison(PoisonedEngine, GatedEngine):
        pass

    engine = GatedPoison()
    values = [poison if number == 5 else 100 + number for number in range(16)]
    with running(engine) as runner:

        async def ask() -> list[object]:
            first = asyncio.create_task(classify(runner, 0))
            await until(lambda: len(engine.batches) == 1)
            jobs = [asyncio.create_task(classify(runner, value)) for value in values]
            await until(lambda: len(runner._ready) == 16)
            engine.gate.set()
            await first
            return await outcomes(list(jobs))

        answers = asyncio.run(ask())
    assert len(engine.batches[1]) == 16
    assert isinstance(answers.pop(5), RuntimeError if poison == 13 else FloatingPointError)
    assert answers == [value for value in values if value != poison]
    assert (runner.counters.failed, runner.counters.answered) == (1, 16)


class RealEngineWithPoison:
    """The default form; a black image among those it is given makes it fail."""

    def __init__(self, bundle: Bundle) -> None:
        form = FORMS[bundle.manifest.default_form]
        self._engine = load_engine(form, bundle.path / form.file, "cpu", threads=1)
        self.runtime, self.device = self._engine.runtime, "cpu"
        self.gate = threading.Event()
        self.batches: list[int] = []

    def __call__(self, images: Images) -> Probabilities:
        pixels = stack(images)
        assert self.gate.wait(timeout=30)
        self.batches.append(len(pixels))
        if not pixels.reshape(len(pixels), -1).any(axis=1).all():
            raise RuntimeError("a black image")
        return self._engine(pixels)


def test_neighbours_of_poison_get_their_unbatched_answers(bundle: Bundle) -> None:
    """The model itself, one black image in 16: within the manifest's tolerance of being alone."""
    record = bundle.manifest.forms[bundle.manifest.default_form]
    random = np.random.default_rng(0)
    photos = [preprocess(photo.read()) for photo in SAMPLE_PHOTOS]
    images = [np.roll(photos[n % 7], int(random.integers(224)), axis=1) for n in range(16)]
    images[5] = np.zeros_like(images[5])
    engine = RealEngineWithPoison(bundle)
    runner = InferenceRunner(engine, lambda data: images[data[0]], ONE_LANE, patient())

    async def ask() -> list[object]:
        blocker = asyncio.create_task(runner.classify(bytes([0])))
        await until(lambda: runner.counters.batches == 1)
        jobs = [asyncio.create_task(runner.classify(bytes([n]))) for n in range(16)]
        await until(lambda: len(runner._ready) == 16)
        engine.gate.set()
        await blocker
        return await outcomes(list(jobs))

    answers = asyncio.run(ask())
    runner.close()
    assert 16 in engine.batches
    assert isinstance(answers.pop(5), RuntimeError)
    del images[5]
    for answer, image in zip(answers, images, strict=True):
        assert isinstance(answer, Inference)
        (alone,) = engine(image[None])
        assert np.abs(answer.probabilities - alone).max() <= record.golden_tolerance


def test_bodies_are_freed_without_the_garbage_collector() -> None:
    """That of an error, too, whose traceback leads to what it came from."""
    freed: list[str] = []

    class Body(bytes):
        def __del__(self) -> None:
            freed.append(self.decode())

    async def send(runner: InferenceRunner, body: bytes) -> None:
        with suppress(ValueError):
            await runner.classify(Body(body))

    gc.disable()
    try:
        with running(CountingEngine()) as runner:
            asyncio.run(send(runner, b"good"))
            asyncio.run(send(runner, b"damaged"))
            wait_until(lambda: freed == ["good", "damaged"], 5)
    finally:
        gc.enable()


def test_body_of_a_client_that_left_is_freed_at_once() -> None:
    """Although no worker gets to it."""
    engine, freed = GatedEngine(), threading.Event()

    class Body(bytes):
        def __del__(self) -> None:
            freed.set()

    async def leave(runner: InferenceRunner) -> None:
        jobs = [asyncio.create_task(classify(runner, number)) for number in range(60)]
        await until(lambda: runner.counters.inside == 60)
        leaving = asyncio.create_task(runner.classify(Body(b"left")))
        await until(lambda: runner.counters.inside == 61)
        leaving.cancel()
        await until(freed.is_set)
        engine.gate.set()
        await asyncio.gather(*jobs)

    with running(engine) as runner:
        asyncio.run(leave(runner))


def test_damaged_image_fails_alone() -> None:
    with running(CountingEngine()) as runner:

        async def ask() -> list[object]:
            images = [bytes([1]), b"damaged", bytes([2])]
            return await outcomes([runner.classify(image) for image in images])

        before, failed, after = asyncio.run(ask())
    assert isinstance(failed, ValueError)
    assert isinstance(before, Inference)
    assert isinstance(after, Inference)
    assert runner.counters.images == 2


def test_queue_is_bounded() -> None:
    engine = GatedEngine()
    runner = InferenceRunner(engine, one_byte, ONE_LANE, patient(), queue_limit=8)

    async def ask() -> list[object]:
        jobs = [asyncio.create_task(classify(runner, value)) for value in range(20)]
        await until(lambda: runner.counters.refused == 12)
        with pytest.raises(OverloadedError, match="8 requests are inside, this one could not"):
            runner.check_admission()
        engine.gate.set()
        return await outcomes(list(jobs))

    answers = asyncio.run(ask())
    runner.close()
    assert answers[:8] == list(range(8))
    refusals = answers[8:]
    assert all(isinstance(refusal, OverloadedError) for refusal in refusals)
    assert runner.counters.admitted == 8


def test_close_finishes_what_is_inside_and_takes_no_more() -> None:
    engine = GatedEngine()
    runner = InferenceRunner(engine, one_byte, ONE_LANE, patient())

    async def ask() -> list[object]:
        jobs = [asyncio.create_task(classify(runner, value)) for value in range(5)]
        await until(lambda: runner.counters.admitted == 5)
        closing = asyncio.get_running_loop().run_in_executor(None, runner.close)
        await until(lambda: runner._closed)
        with pytest.raises(OverloadedError):
            await runner.classify(b"x")
        engine.gate.set()
        await closing
        return await outcomes(list(jobs))

    assert asyncio.run(ask()) == list(range(5))


def test_an_overlapping_lane_takes_full_batches_only() -> None:
    """It computes nothing before the other is done: what comes meanwhile had better gather."""
    engine = GatedEngine()
    layout = Layout(workers=3, lanes=2, max_batch=2, overlapping=1)

    async def run() -> list[int]:
        with running(engine, layout) as runner:
            jobs = [asyncio.create_task(classify(runner, 1))]
            await until(lambda: len(engine.batches) == 1)
            jobs.append(asyncio.create_task(classify(runner, 2)))
            await until(lambda: len(runner._ready) == 1)
            await asyncio.sleep(0.05)
            assert len(engine.batches) == 1
            jobs.append(asyncio.create_task(classify(runner, 3)))
            await until(lambda: len(engine.batches) == 2)
            engine.gate.set()
            await asyncio.gather(*jobs)
        return engine.batches[1]

    assert asyncio.run(run()) == [2, 3]


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="scheduling policies are Linux's")
@pytest.mark.parametrize("dedicated", [False, True])
def test_on_a_dedicated_machine_workers_take_what_is_left(dedicated: bool) -> None:
    policies: set[int] = set()

    class Noting(CountingEngine):
        def work(self, pixels: PixelBatch) -> None:
            policies.add(os.sched_getscheduler(0))

    async def run() -> None:
        runner = InferenceRunner(Noting(), one_byte, TWO_LANES, patient(), dedicated=dedicated)
        await classify(runner, 1)
        runner.close()

    asyncio.run(run())
    assert policies == {os.SCHED_IDLE if dedicated else os.SCHED_OTHER}
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_deadlines_hold_while_every_worker_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop ends a request when its time is over, not the worker that is stuck."""
    monkeypatch.setattr(inference_runner, "DEADLINE_S", 0.2)
    monkeypatch.setattr(inference_runner, "WORK_S", 0.3)
    engine = GatedEngine()
    runner = InferenceRunner(engine, one_byte, ONE_LANE, patient())

    async def ask() -> tuple[float, float, float, float]:
        async def wait(deadline_s: float | None) -> float:
            started = time.perf_counter()
            with pytest.raises(OverloadedError, match="over its deadline"):
                await runner.classify(b"1", deadline_s)
            return time.perf_counter() - started

        return await asyncio.gather(wait(None), wait(0.1), wait(None), wait(0.1))

    begun, strict, waiting, _ = asyncio.run(ask())
    assert 0.5 <= begun < 2  # work on it had begun: it gets WORK_S more
    assert 0.1 <= strict < 0.5
    assert 0.2 <= waiting < 0.6
    assert runner.counters.expired == 4
    assert runner.counters.inside == 0
    engine.gate.set()
    runner.close()
    assert (runner.counters.expired, runner.counters.answered) == (4, 0)


def test_a_stuck_worker_is_known_and_does_not_stop_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inference_runner, "STUCK_S", 0.1)
    monkeypatch.setattr(inference_runner, "CLOSE_S", 0.2)
    engine = GatedEngine()
    runner = InferenceRunner(engine, one_byte, ONE_LANE, patient())
    assert runner.check_health() is None

    async def ask() -> None:
        with pytest.raises(OverloadedError):
            await runner.classify(b"1", 0.2)

    asyncio.run(ask())
    assert str(runner.check_health()).startswith("a worker has been busy with one step for 0 s")
    started = time.perf_counter()
    runner.close()
    assert time.perf_counter() - started < 5
    engine.gate.set()
