"""Plan the work for GPUs: batches as large as the measured cost of each batch bucket allows.

Unlike on a CPU (`service.runner.plan`), batches hold up to 128 images, and each device has two
lanes: one batch is copied while the other is computed.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from service.engines.base import Engine, Image
from service.gpu.engine import DeviceEngine
from service.gpu.metrics import GpuCollector, open_nvml, read_uuids
from service.machine import available_cores
from service.preprocessing import PreprocessingSettings, preprocess
from service.runner.plan import Layout, Plan, measure_preprocessing
from service.settings import Settings

_REPEATS = 5


def make_plan(
    engine: DeviceEngine,
    reload: Callable[[int], Engine],  # not needed here: a device has no threads to choose
    preprocessing: PreprocessingSettings,
    photos: Sequence[bytes],
    settings: Settings,
) -> Plan:
    """Measure each batch bucket and choose the largest that the target latency allows.

    The arguments are those of `service.runner.plan.make_plan`.
    """
    cores, side = available_cores(settings.cores), preprocessing.crop
    most_ms = settings.target_ms / 2  # the rest is for waiting and preprocessing
    usage = open_nvml(read_uuids(engine.torch_names))
    costs = measure_buckets(engine, (side, side, 3), most_ms)
    layout = choose_device_layout(costs, engine, cores, most_ms)
    preprocess_s = measure_preprocessing(photos, preprocessing)
    served, prepare = _choose_decoder(engine, preprocessing, settings)
    return Plan(
        engine=served,
        prepare=prepare,
        layout=layout,
        threads=settings.threads or 1,
        costs_ms=costs,
        service_s=preprocess_s + costs[1] / 1000,
        interval_s=estimate_interval_s(costs, layout, engine.devices, preprocess_s, cores),
        metrics=GpuCollector(engine.times, usage.read if usage else None),
        check_health=engine.check_health,
    )


def _choose_decoder(
    engine: DeviceEngine, preprocessing: PreprocessingSettings, settings: Settings
) -> tuple[Engine, Callable[[bytes], Image]]:
    """Return the engine that the runner calls, and the function that prepares each file."""
    most = settings.max_pixels
    if settings.decode == "cpu":
        return engine, partial(preprocess, settings=preprocessing, max_pixels=most)
    from service.gpu.jpeg import DecodingEngine

    decoding = DecodingEngine(engine, preprocessing, most)
    return decoding, decoding.prepare


def measure_buckets(
    engine: DeviceEngine, shape: tuple[int, int, int], most_ms: float
) -> dict[int, float]:
    """Time a batch of each bucket, copies included, until one takes longer than `most_ms`.

    Args:
        engine: the engine to time.
        shape: height, width, 3.
        most_ms: the longest batch that is of interest.

    Returns:
        Milliseconds by bucket, the median of five.
    """
    costs: dict[int, float] = {}
    for size in engine.buckets:
        batch = np.zeros((size, *shape), np.uint8)
        engine(batch)
        times = []
        for _ in range(_REPEATS):
            started = time.perf_counter()
            engine(batch)
            times.append(time.perf_counter() - started)
        costs[size] = float(np.median(times)) * 1000
        if costs[size] > most_ms:
            break
    return costs


def choose_bucket(costs: Mapping[int, float], lanes_a_device: int, most_ms: float) -> int:
    """Choose the bucket with the most images a second among those that latency allows.

    A batch may have to wait for the one before it, which its device is computing: with two lanes
    it takes up to twice its own cost.

    Args:
        costs: milliseconds by bucket, as `measure_buckets` returns them.
        lanes_a_device: batches under way at the same time on one device.
        most_ms: the longest time of a forward pass, including the wait for the one before it.
    """
    allowed = [size for size, cost in costs.items() if lanes_a_device * cost <= most_ms]
    return min(allowed, key=lambda size: costs[size] / size) if allowed else min(costs)


def choose_device_layout(
    costs: Mapping[int, float], engine: DeviceEngine, cores: int, most_ms: float
) -> Layout:
    """Return a layout with a worker for each core, to decode, and one for each lane, to wait."""
    best = choose_bucket(costs, engine.lanes // engine.devices, most_ms)
    return Layout(
        cores + engine.lanes,
        lanes=engine.lanes,
        max_batch=best,
        overlapping=engine.lanes - engine.devices,
    )


def estimate_interval_s(
    costs: Mapping[int, float], layout: Layout, devices: int, preprocess_s: float, cores: int
) -> float:
    """Return the seconds between two answers under full load: decoding or computing limits it.

    Args:
        costs: milliseconds by bucket.
        layout: as `choose_device_layout` returns it.
        devices: number of devices that compute.
        preprocess_s: seconds of preprocessing one image on one core.
        cores: number of cores that decode.
    """
    forward_s = costs[layout.max_batch] / layout.max_batch / devices / 1000
    return max(preprocess_s / cores, forward_s)
