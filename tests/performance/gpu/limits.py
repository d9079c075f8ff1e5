"""Measure what device and cores can do without a server: the limits of serving."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from service.engines.base import PixelBatch
from service.gpu.engine import DeviceEngine
from service.gpu.jpeg import measure_pixel_difference, preprocess_batch
from service.gpu.plan import measure_buckets
from service.machine import available_cores
from service.preprocessing import Pixels, PreprocessingSettings, preprocess


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one device and one machine."""

    peak_flops: float
    """Measured bf16 FLOP a second of a matrix product."""
    flops_per_image: float
    costs_ms: dict[int, float]
    """Milliseconds of a batch by bucket, copies included, one batch at a time."""
    best_batch: int
    forward_per_s: float
    """Images a second at the best batch, copies overlapped."""
    decode_per_s: float
    """Images a second decoded by all cores."""
    device_decode_per_s: float
    """Images a second decoded in batches by the device."""
    device_decode_difference: tuple[float, int]
    """Largest mean difference of an image, and largest difference of a pixel, of 255."""
    together_per_s: float
    """Images a second from file to answer, all cores and the device at once."""

    @property
    def mfu(self) -> float:
        """Model FLOPs utilisation: the share of the measured peak that forward passes use."""
        return self.forward_per_s * self.flops_per_image / self.peak_flops


def peak_flops(device: str, side: int, seconds: float) -> float:
    """Return the best bf16 FLOP a second of matrix products, side × side, within `seconds`."""
    a, b = (torch.randn(side, side, dtype=torch.bfloat16, device=device) for _ in range(2))
    synchronise: Callable[[], object] = (
        torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    )
    best, end = np.inf, time.perf_counter() + seconds
    repeats = 10 if device.startswith("cuda") else 1
    torch.mm(a, b)
    synchronise()
    while time.perf_counter() < end:
        started = time.perf_counter()
        for _ in range(repeats):
            torch.mm(a, b)
        synchronise()
        best = min(best, (time.perf_counter() - started) / repeats)
    return 2 * side**3 / best


def flops_per_image(program: Path) -> float:
    """Return the FLOP of the matrix products of one image's forward pass."""
    exported = torch.export.load(program)
    shape = exported.example_inputs[0][0].shape[1:]
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        exported.module()(torch.zeros(1, *shape, dtype=torch.uint8))
    return float(counter.get_total_flops())


def batch_costs(engine: DeviceEngine, pixels: PixelBatch) -> dict[int, float]:
    """Return the milliseconds of a batch by bucket, one batch at a time."""
    return measure_buckets(engine, (pixels.shape[1], pixels.shape[2], 3), most_ms=float("inf"))


def forward_per_s(engine: DeviceEngine, pixels: PixelBatch, seconds: float) -> float:
    """Return the images a second with all lanes at work."""
    return _rate(engine.lanes, lambda: len(engine(pixels)), seconds)


def decode_per_s(photos: Sequence[bytes], settings: PreprocessingSettings, seconds: float) -> float:
    """Return the images a second by one thread for each core, as the service decodes."""
    turn = _Turns(photos)
    return _rate(available_cores(), lambda: len([preprocess(turn.next(), settings)]), seconds)


def device_decode_per_s(
    photos: Sequence[bytes], settings: PreprocessingSettings, device: str, seconds: float
) -> tuple[float, tuple[float, int]]:
    """Return the images a second in batches of 32 by two threads, and the pixels' difference."""
    batch = [photos[number % len(photos)] for number in range(32)]
    rate = _rate(2, lambda: len(preprocess_batch(batch, settings, device)), seconds)
    return rate, measure_pixel_difference(photos[:64], settings, device)


def together_per_s(
    engine: DeviceEngine,
    photos: Sequence[bytes],
    settings: PreprocessingSettings,
    batch: int,
    seconds: float,
) -> float:
    """Return the images a second from file to answer: a thread for each core and each lane."""
    ready: queue.Queue[Pixels] = queue.Queue(4 * batch)
    done, turn = threading.Event(), _Turns(photos)

    def decode() -> None:
        while not done.is_set():
            pixels = preprocess(turn.next(), settings)
            while not done.is_set():
                try:
                    ready.put(pixels, timeout=0.1)
                    break
                except queue.Full:
                    continue

    def classify() -> int:
        images = [ready.get()]
        while len(images) < batch:
            try:
                images.append(ready.get_nowait())
            except queue.Empty:
                break
        return len(engine(images))

    decoders = [threading.Thread(target=decode) for _ in range(available_cores())]
    for decoder in decoders:
        decoder.start()
    try:
        return _rate(engine.lanes, classify, seconds)
    finally:
        done.set()
        for decoder in decoders:
            decoder.join()


class _Turns:
    """Gives the photos in turn to several threads."""

    def __init__(self, photos: Sequence[bytes]) -> None:
        self._photos = photos
        self._number = 0
        self._lock = threading.Lock()

    def next(self) -> bytes:
        with self._lock:
            self._number += 1
            return self._photos[self._number % len(self._photos)]


def _rate(threads: int, work: Callable[[], int], seconds: float) -> float:
    """Return how many things `threads` do a second, after a short run that does not count."""

    def run(end: float) -> int:
        count = 0
        while time.perf_counter() < end:
            count += work()
        return count

    with ThreadPoolExecutor(threads) as pool:
        for duration in (seconds / 4, seconds):
            started = time.perf_counter()
            jobs = [pool.submit(run, started + duration) for _ in range(threads)]
            count = sum(job.result() for job in jobs)
            rate = count / (time.perf_counter() - started)
    return rate
