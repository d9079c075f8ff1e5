"""Batches under way on a device: the code that runs on a GPU, on a simulated device."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor

from service.engines.base import PixelBatch
from service.errors import DeviceLostError
from service.gpu import faults as device_faults
from service.gpu.engine import DeviceEngine
from service.gpu.staging import SLOTS, Pipeline
from tests.conftest import wait_until
from tests.service.simulated_device import SimulatedDevice

SHAPE = (2, 2, 3)


def program(pixels: Tensor) -> Tensor:
    """Answer the first pixel's red, and the sum of all values."""
    return torch.stack([pixels[:, 0, 0, 0].float(), pixels.flatten(1).float().sum(1)], dim=1)


def expected(pixels: PixelBatch) -> np.ndarray:
    return program(torch.from_numpy(pixels)).numpy()


def batches(count: int, most: int, seed: int = 0) -> list[PixelBatch]:
    random = np.random.default_rng(seed)
    return [
        random.integers(0, 256, (random.integers(1, most + 1), *SHAPE), np.uint8)
        for _ in range(count)
    ]


def make_pipeline(device: SimulatedDevice | None = None) -> Pipeline:
    return Pipeline(device or SimulatedDevice(), program, SHAPE, (1, 2, 4, 8))


def count_wrong_answers(device: SimulatedDevice, seed: int) -> int:
    """Count them for 40 batches from three threads, which share two slots."""
    engine = make_pipeline(device)
    work = batches(40, 8, seed)
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(engine.run, work))
    return sum(
        not np.array_equal(one, expected(pixels)) for one, pixels in zip(answers, work, strict=True)
    )


def test_every_order_that_the_marks_allow_is_right() -> None:
    assert [count_wrong_answers(SimulatedDevice(seed), seed) for seed in range(10)] == [0] * 10


def test_without_the_marks_answers_would_be_wrong() -> None:
    """Otherwise the simulation would prove nothing."""
    assert sum(
        count_wrong_answers(SimulatedDevice(seed, marks_count=False), seed) for seed in range(3)
    )


def test_a_batch_is_queued_while_another_is_under_way() -> None:
    device = SimulatedDevice()
    engine = make_pipeline(device)
    device.gate.clear()
    one, other = batches(2, 8)
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(engine.run, pixels) for pixels in (one, other)]
        copies_in = device.streams[0]
        wait_until(lambda: len(copies_in.queue) == 4)  # a copy and a mark each
        device.gate.set()
        for job, pixels in zip(jobs, (one, other), strict=True):
            np.testing.assert_array_equal(job.result(10), expected(pixels))


def test_a_batch_takes_the_next_larger_bucket() -> None:
    engine = DeviceEngine([make_pipeline()], "program")
    for size in (3, 4, 1, 20):
        pixels = np.arange(size * 12, dtype=np.uint8).reshape(size, *SHAPE)
        np.testing.assert_array_equal(engine(pixels), expected(pixels))
    times = {bucket: time for (_, bucket), time in engine.times().items()}
    assert {bucket: time.batches for bucket, time in times.items()} == {1: 1, 2: 0, 4: 3, 8: 2}
    assert {bucket: time.images for bucket, time in times.items()} == {1: 1, 2: 0, 4: 11, 8: 16}
    assert times[8].seconds == pytest.approx(0.002)


def test_images_need_not_lie_side_by_side() -> None:
    engine = DeviceEngine([make_pipeline()], "program")
    pixels = batches(1, 8)[0]
    np.testing.assert_array_equal(engine(list(pixels)), expected(pixels))


def test_an_image_of_another_size_or_type_is_refused() -> None:
    engine = make_pipeline()
    with pytest.raises(ValueError, match="broadcast"):
        engine.run(np.zeros((1, 5, 2, 3), np.uint8))
    with pytest.raises(TypeError, match="cast"):
        engine.run(np.zeros((1, *SHAPE), np.float32))


def test_devices_share_the_batches() -> None:
    devices = [SimulatedDevice(number, f"cuda:{number}") for number in range(3)]
    engine = DeviceEngine([make_pipeline(device) for device in devices], "program")
    assert (engine.devices, engine.lanes, engine.device) == (3, 3 * SLOTS, "cuda")
    for device in devices:
        device.gate.clear()
    work = batches(engine.lanes, 8)
    with ThreadPoolExecutor(engine.lanes) as pool:
        jobs = [pool.submit(engine, pixels) for pixels in work]
        wait_until(lambda: sum(len(one.streams[0].queue) for one in devices) == 2 * engine.lanes)
        assert [len(device.streams[0].queue) // 2 for device in devices] == [SLOTS] * 3
        for device in devices:
            device.gate.set()
        for job, pixels in zip(jobs, work, strict=True):
            np.testing.assert_array_equal(job.result(10), expected(pixels))


def test_a_failed_batch_fails_alone() -> None:
    """It fails more often than there are slots, so that a lost slot would show."""
    device = SimulatedDevice()
    engine = make_pipeline(device)
    recorded = engine._recorded[1]

    def fail() -> None:
        raise RuntimeError("CUDA out of memory")

    image = np.ones((1, *SHAPE), np.uint8)
    for _ in range(SLOTS + 1):
        engine._recorded[1] = fail
        with pytest.raises(RuntimeError, match="out of memory"):
            engine.run(image)
        engine._recorded[1] = recorded
        np.testing.assert_array_equal(engine.run(image), expected(image))
    assert not engine.health.lost.is_set()


def test_a_lost_device_answers_nothing_any_more() -> None:
    device = SimulatedDevice()
    engine = DeviceEngine([make_pipeline(device)], "program")
    device.broken = RuntimeError("CUDA error: an illegal memory access was encountered\nmore")
    image = np.ones((1, *SHAPE), np.uint8)
    with pytest.raises(DeviceLostError, match="cpu failed: CUDA error: an illegal") as caught:
        engine(image)
    assert caught.value.status == 503
    assert caught.value.retry_after > 0
    assert "more" not in str(caught.value)
    device.broken = None  # what it says later does not matter: its context is dead
    tried = device.synchronisations
    with pytest.raises(DeviceLostError):
        engine(image)
    assert device.synchronisations == tried
    assert "illegal memory access" in (engine.check_health() or "")


def test_an_answer_that_was_never_copied_is_not_a_number() -> None:
    device = SimulatedDevice()
    engine = make_pipeline(device)
    image = np.ones((1, *SHAPE), np.uint8)
    engine.run(image)
    device.streams[2].run = lambda work: None  # type: ignore[method-assign]
    assert np.isnan(engine.run(image)).all()


def test_a_batch_that_never_ends_means_a_lost_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = SimulatedDevice()
    engine = DeviceEngine([make_pipeline(device)], "program")
    device.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(engine, np.ones((1, *SHAPE), np.uint8))
        wait_until(lambda: bool(device.streams[0].queue))
        assert engine.check_health() is None
        monkeypatch.setattr(device_faults, "HANG_S", 0.0)
        assert "did not finish a batch" in (engine.check_health() or "")
        device.gate.set()  # even if it ends after all
        with pytest.raises(DeviceLostError):
            job.result(10)


def test_buckets_that_do_not_fit_are_left_out() -> None:
    def small_memory(pixels: Tensor) -> Tensor:
        if len(pixels) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return program(pixels)

    class Recording(SimulatedDevice):
        def record(self, work, stream):  # type: ignore[no-untyped-def]
            work()
            return work

    limit = 2
    engine = Pipeline(Recording(), small_memory, SHAPE, (1, 2, 4, 8))
    assert engine.buckets == (1, 2)
    pixels = batches(1, 2)[0]
    np.testing.assert_array_equal(engine.run(pixels), expected(pixels))
    limit = 0
    with pytest.raises(torch.OutOfMemoryError):
        Pipeline(SimulatedDevice(), small_memory, SHAPE, (1, 2))
