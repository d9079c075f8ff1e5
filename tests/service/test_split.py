"""A model split into features and a classifier in parts: the same answers, shared between cores."""

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from service import inference_runner
from service.admission import Admission
from service.artifact import split
from service.artifact.crops import random_crops
from service.artifact.recipe import default_recipe
from service.artifact.verify import Bundle
from service.engines import FORMS, load_engine
from service.engines.base import Partial, PixelBatch, Prepared, Probabilities, SplitEngine
from service.engines.split_onnx import SplitOnnxEngine
from service.errors import StartupError
from service.inference_runner import InferenceRunner
from service.layout import Layout, choose_split_layout, measure_split
from service.model_definition import ServingModel
from service.preprocessing import PreprocessingSettings, preprocess
from service.responses import top_predictions
from service.sample_photos import OTHER_PICTURES, SAMPLE_PHOTOS
from service.shared_scan import SharedScan
from tests.service.engines_for_tests import CountingEngine, one_byte


@pytest.fixture(scope="module")
def split_engine(tmp_path_factory: pytest.TempPathFactory) -> SplitOnnxEngine:
    recipe = default_recipe()
    model = ServingModel(recipe.model, recipe.architecture.mean, recipe.architecture.std)
    pictures = [photo.path for photo in OTHER_PICTURES]
    path = tmp_path_factory.mktemp("bundle") / FORMS["onnx-int8-split"].file
    split.write_split(model, path, random_crops(pictures, 22, 1, PreprocessingSettings()))
    return SplitOnnxEngine(path)


@pytest.fixture(scope="module")
def photos() -> PixelBatch:
    return np.stack([preprocess(photo.read()) for photo in SAMPLE_PHOTOS])


def test_a_split_model_answers_as_the_whole_one(
    split_engine: SplitOnnxEngine, bundle: Bundle, photos: PixelBatch
) -> None:
    eager = FORMS["eager"]
    reference = load_engine(eager, bundle.path / eager.file, "cpu", threads=1)(photos)
    found = split_engine(photos)
    assert found.shape == (7, 1000)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert np.abs(found - reference).max() < 0.1
    labels = bundle.manifest.labels
    for photo, row in zip(SAMPLE_PHOTOS, found, strict=True):
        assert labels[row.argmax()] in photo.labels


def test_what_an_image_gets_does_not_hang_on_its_neighbours(
    split_engine: SplitOnnxEngine, photos: PixelBatch
) -> None:
    together = split_engine(photos)
    alone = np.concatenate([split_engine(photo[np.newaxis]) for photo in photos])
    np.testing.assert_allclose(alone, together, atol=1e-6)


def test_parts_hold_all_classes_once(split_engine: SplitOnnxEngine, photos: PixelBatch) -> None:
    assert split_engine.parts == split.FEWEST_PARTS
    features = split_engine.prepare(photos[0])[np.newaxis]
    partials = [split_engine.run_part(part, features) for part in range(split_engine.parts)]
    assert [partial.shape for partial in partials] == [(1, 500 + 2), (1, 500 + 2)]
    np.testing.assert_allclose(
        split_engine.combine(partials)[0], split_engine(photos[:1])[0], atol=1e-6
    )


def test_without_its_parts_the_form_does_not_load(tmp_path: Path, bundle: Bundle) -> None:
    path = tmp_path / "features.onnx"
    path.write_bytes((bundle.path / FORMS["onnx-int8"].file).read_bytes())
    with pytest.raises(FileNotFoundError, match="classifier-00"):
        SplitOnnxEngine(path)


def test_a_model_without_a_wide_last_layer_is_refused(tmp_path: Path) -> None:
    model = ServingModel(nn.Sequential(nn.Conv2d(3, 8, 1), nn.Flatten()), (0, 0, 0), (1, 1, 1))
    with pytest.raises(StartupError, match="expected a model whose last layer is a Linear"):
        split.write_split(model, tmp_path / "split" / "f.onnx", np.zeros((2, 8, 8, 3), np.uint8))


class Halves(CountingEngine):
    """A split engine without a model: each of its parts answers the image's first byte."""

    parts = 4

    def __init__(self) -> None:
        super().__init__()
        self.parts_run: list[int] = []
        self.prepared: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def prepare(self, pixels: PixelBatch) -> Prepared:
        assert self.gate.wait(30)
        self.prepared.append(int(pixels[0, 0, 0]))
        return pixels

    def run_part(self, part: int, batch: Prepared) -> Partial:
        self.parts_run.append(part)
        if part == 2 and 13 in batch[:, 0, 0, 0]:
            raise RuntimeError("out of memory")
        answer: Partial = super().__call__(batch)
        return answer

    def combine(self, partials: Sequence[Partial]) -> Probabilities:
        assert len(partials) == self.parts
        return np.concatenate(partials, axis=1)


SHARED = Layout(workers=2, lanes=2, max_batch=4)


@contextmanager
def running(engine: Halves, layout: Layout = SHARED) -> Iterator[InferenceRunner]:
    patient = Admission(target_s=1000, service_s=1e-9, interval_s=1e-9, lanes=2)
    runner = InferenceRunner(engine, one_byte, layout, patient)
    yield runner
    engine.gate.set()
    runner.close()


async def ask(runner: InferenceRunner, value: int) -> list[float]:
    answer = await runner.classify(bytes([value]))
    return [float(probability) for probability in answer.probabilities]


def test_all_workers_share_the_parts_of_a_batch() -> None:
    engine = Halves()
    assert isinstance(engine, SplitEngine)

    async def run() -> list[list[float]]:
        with running(engine) as runner:
            return await asyncio.gather(*(ask(runner, value) for value in range(20, 60)))

    assert asyncio.run(run()) == [[value] * 4 for value in range(20, 60)]
    assert len(engine.threads) == 2
    assert engine.most_at_once == 2
    assert max(map(len, engine.batches)) <= SHARED.max_batch
    assert sorted(set(engine.parts_run)) == [0, 1, 2, 3]


def test_each_image_sees_each_part_once_and_shares_the_reading() -> None:
    engine = Halves()
    engine.gate.clear()

    async def run() -> None:
        with running(engine) as runner:
            jobs = [asyncio.create_task(ask(runner, value)) for value in range(4)]
            while runner.counters.inside < 4:
                await asyncio.sleep(0.001)
            engine.gate.set()
            await asyncio.gather(*jobs)
            seen = [value for batch in engine.batches for value in batch]
            assert sorted(seen) == sorted(list(range(4)) * engine.parts)
            assert len(engine.batches) < 4 * engine.parts  # some parts were read for several
            engine.batches.clear()
            await ask(runner, 7)
            assert engine.batches == [[7]] * 4  # alone, and at once

    asyncio.run(run())


def test_an_image_joins_what_is_read_for_others() -> None:
    scan = SharedScan[str](Halves())
    scan.join("first", np.zeros(1))
    steps = [scan.take(4), scan.take(4)]
    assert [step and (step.part, step.riders) for step in steps] == [(0, ["first"]), (1, ["first"])]
    scan.join("second", np.ones(1))
    assert scan.not_begun() == ["second"]
    rest = [scan.take(4) for _ in range(4)]
    assert [step and (step.part, step.riders) for step in rest] == [
        (2, ["first", "second"]),
        (3, ["first", "second"]),
        (0, ["second"]),
        (1, ["second"]),
    ]
    assert scan.take(4) is None
    assert scan.wanting == 0


@pytest.mark.parametrize(
    ("urgent", "order"),
    [(0.7, ["prepare"] * 3 + ["part"] * 4), (0, (["prepare"] + ["part"] * 4) * 3)],
)
def test_an_image_that_is_nearly_late_goes_before_one_to_be_prepared(
    monkeypatch: pytest.MonkeyPatch, urgent: float, order: list[str]
) -> None:
    monkeypatch.setattr(inference_runner, "URGENT", urgent)
    done: list[str] = []

    class Noting(Halves):
        def prepare(self, pixels: PixelBatch) -> Prepared:
            done.append("prepare")
            return super().prepare(pixels)

        def run_part(self, part: int, batch: Prepared) -> Partial:
            done.append("part")
            return super().run_part(part, batch)

    async def run() -> None:
        engine = Noting()
        engine.gate.clear()
        with running(engine, Layout(workers=1, lanes=1, max_batch=4)) as runner:
            jobs = [asyncio.create_task(ask(runner, value)) for value in range(3)]
            while runner.counters.inside < 3:
                await asyncio.sleep(0.001)
            engine.gate.set()
            await asyncio.gather(*jobs)

    asyncio.run(run())
    assert done == order


def test_those_who_left_do_not_hold_up_a_batch() -> None:
    """What is ready goes on, though the only ones that wait behind it have gone."""
    engine = Halves()
    engine.gate.clear()

    async def run() -> list[float]:
        with running(engine) as runner:
            stays = asyncio.create_task(ask(runner, 1))
            others = [asyncio.create_task(ask(runner, value)) for value in (2, 3, 4)]
            while runner.counters.inside < 4:
                await asyncio.sleep(0.001)
            for other in others:
                other.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            engine.gate.set()
            return await asyncio.wait_for(stays, 20)

    assert asyncio.run(run()) == [1] * 4
    assert engine.batches[-1][0] == 1


def test_poison_in_one_part_fails_alone() -> None:
    engine = Halves()
    engine.gate.clear()

    async def run() -> list[list[float] | BaseException]:
        with running(engine) as runner:
            jobs = [asyncio.create_task(ask(runner, value)) for value in (1, 13, 2)]
            while runner.counters.inside < 3:
                await asyncio.sleep(0.001)
            engine.gate.set()
            return await asyncio.gather(*jobs, return_exceptions=True)

    first, poisoned, second = asyncio.run(run())
    assert (first, second) == ([1] * 4, [2] * 4)
    assert isinstance(poisoned, RuntimeError)


def test_the_layout_weighs_preparing_and_reading() -> None:
    costs = {1: 10.0, 2: 10.5, 4: 12.0, 6: 13.0, 8: 15.0}
    assert choose_split_layout(6.0, costs, 2, 25) == Layout(workers=2, lanes=2, max_batch=6)
    assert choose_split_layout(6.0, costs, 2, 1) == Layout(workers=2, lanes=2, max_batch=4)


def test_measuring_a_split_engine_stops_at_what_latency_forbids() -> None:
    engine = Halves()
    prepare_ms, costs = measure_split(engine, (4, 4, 3), cores=2, most_ms=1000)
    assert prepare_ms >= 0
    assert list(costs) == [1, 2, 4, 6, 8, 12, 16]
    assert list(measure_split(engine, (4, 4, 3), cores=2, most_ms=0.1)[1]) == [1, 2, 4]


@pytest.mark.parametrize("classes", [5, 1000, 3000, 200_000])
@pytest.mark.parametrize("k", [1, 5])
def test_the_most_probable_of_very_many_classes(classes: int, k: int) -> None:
    values = np.random.default_rng(classes).random(classes, np.float32)
    values[[0, -1]] = 2.0, 3.0  # the first and the last, beyond the last whole block
    values /= values.sum()
    best = np.lexsort((np.arange(classes), -values))[:k]
    found = top_predictions(values, k, [str(number) for number in range(classes)])
    assert [prediction.class_id for prediction in found] == best.tolist()


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="scheduling policies are Linux's")
@pytest.mark.parametrize("dedicated", [False, True])
def test_on_a_dedicated_machine_workers_take_what_is_left(dedicated: bool) -> None:
    policies: set[int] = set()

    class Noting(CountingEngine):
        def work(self, pixels: PixelBatch) -> None:
            policies.add(os.sched_getscheduler(0))

    async def run() -> None:
        patient = Admission(target_s=1000, service_s=1e-9, interval_s=1e-9, lanes=2)
        runner = InferenceRunner(Noting(), one_byte, SHARED, patient, dedicated=dedicated)
        await ask(runner, 1)
        runner.close()

    asyncio.run(run())
    assert policies == {os.SCHED_IDLE if dedicated else os.SCHED_OTHER}
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
