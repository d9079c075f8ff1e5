"""The layout follows from what batches cost."""

import time

from service.engines.base import PixelBatch
from service.runner.plan import Layout, batching_pays, choose_layout, measure_batches
from tests.service.engines_for_tests import CountingEngine

ARITHMETIC_BOUND = {1: 5.0, 2: 10.0, 4: 19.0, 8: 38.0}
"""A batch saves nothing to speak of."""
MEMORY_BOUND = {1: 10.0, 2: 11.0, 4: 13.0, 8: 17.0, 16: 25.0, 32: 41.0}
"""Reading the weights costs 9, each image 1."""


def test_where_batching_buys_nothing_images_run_side_by_side() -> None:
    assert not batching_pays(ARITHMETIC_BOUND)
    assert choose_layout(ARITHMETIC_BOUND, 2, 1, 25) == Layout(workers=2, lanes=2, max_batch=1)
    assert choose_layout(ARITHMETIC_BOUND, 8, 4, 25) == Layout(workers=8, lanes=2, max_batch=1)
    assert choose_layout({1: 5.0}, 1, 1, 25) == Layout(workers=1, lanes=1, max_batch=1)


def test_where_it_pays_the_batch_is_the_best_that_latency_allows() -> None:
    assert batching_pays(MEMORY_BOUND)
    assert choose_layout(MEMORY_BOUND, 2, 2, 25) == Layout(workers=3, lanes=1, max_batch=16)
    assert choose_layout(MEMORY_BOUND, 2, 2, 12) == Layout(workers=3, lanes=1, max_batch=2)
    assert choose_layout(MEMORY_BOUND, 2, 2, 1) == Layout(workers=3, lanes=1, max_batch=1)


def test_measuring_stops_at_what_latency_forbids() -> None:
    engine = CountingEngine(seconds=0.01)
    costs = measure_batches(engine, (4, 4, 3), most_ms=1000)
    assert list(costs) == [1, 4, 8, 16, 32]
    assert batching_pays(costs)  # this engine's batches all take the same time
    assert list(measure_batches(engine, (4, 4, 3), most_ms=1)) == [1]


def test_no_large_batch_is_tried_where_batching_does_not_pay() -> None:
    class ArithmeticBound(CountingEngine):
        def work(self, pixels: PixelBatch) -> None:
            time.sleep(0.005 * len(pixels))

    assert list(measure_batches(ArithmeticBound(), (4, 4, 3), most_ms=1000)) == [1, 4]
