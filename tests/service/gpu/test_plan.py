"""The plan for a GPU: batches, layout and admission follow from measured costs."""

from pathlib import Path

import pytest

from challenges.load.images import distinct_images
from service.gpu import engine as device_program
from service.gpu.plan import (
    choose_bucket,
    choose_device_layout,
    estimate_interval_s,
    make_plan,
    measure_buckets,
)
from service.gpu.staging import SLOTS
from service.preprocessing import PreprocessingSettings
from service.runner.plan import Layout
from service.settings import Settings
from tests.service.small_vit import CLASSES, SIDE, write_program

COSTS = {1: 2.0, 2: 2.1, 4: 2.4, 8: 3.6, 16: 6.4, 32: 12.2, 64: 24.0, 128: 47.0}
"""Costs of a GPU: from 8 on they grow with the batch, and the last doubling gains 2 %."""


def test_the_bucket_allows_two_overlapping_batches() -> None:
    assert choose_bucket(COSTS, 1, 50) == 128
    assert choose_bucket(COSTS, 2, 50) == 64
    assert choose_bucket(COSTS, 2, 25) == 32
    assert choose_bucket(COSTS, 2, 1) == 1


def test_layout_and_interval_follow_from_the_costs(tmp_path: Path) -> None:
    engine = device_program.load(write_program(tmp_path), "cpu", 1)
    costs = measure_buckets(engine, (SIDE, SIDE, 3), most_ms=10_000)
    assert list(costs) == list(engine.buckets)
    assert list(measure_buckets(engine, (SIDE, SIDE, 3), most_ms=0)) == [1]
    layout = choose_device_layout(costs, engine, cores=16, most_ms=10_000)
    assert (layout.workers, layout.lanes) == (18, 2)
    assert layout.max_batch in engine.buckets
    full = Layout(18, 2, 64)
    assert estimate_interval_s(COSTS, full, 1, 0.003, 16) == pytest.approx(0.024 / 64)
    assert estimate_interval_s(COSTS, full, 4, 0.003, 16) == pytest.approx(
        0.003 / 16
    )  # decoding is slower


@pytest.mark.parametrize("decode", ["cpu", "gpu"])
def test_a_plan_serves_photos(decode: str, tmp_path: Path) -> None:
    engine = device_program.load(write_program(tmp_path), "cpu", 1)
    photo = distinct_images(1)[0]
    settings = Settings.model_validate({"decode": decode, "target_ms": 10_000})
    preprocessing = PreprocessingSettings(resize=SIDE, crop=SIDE)
    plan = make_plan(engine, lambda _: engine, preprocessing, [photo], settings)
    assert plan.engine([plan.prepare(photo)]).shape == (1, CLASSES)
    assert (plan.layout.lanes, plan.layout.overlapping) == (SLOTS, SLOTS - 1)
    assert plan.costs_ms.keys() == set(engine.buckets)
    assert plan.service_s > plan.costs_ms[1] / 1000
    assert plan.check_health is not None
    assert plan.check_health() is None
    assert plan.metrics is not None
    assert any(family.name == "inference_device_seconds" for family in plan.metrics.collect())
