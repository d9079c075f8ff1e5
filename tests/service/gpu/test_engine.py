"""The bf16 form by the device engine: exported, loaded, compiled, run; all of it on the CPU."""

import asyncio
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from service.artifact.compiled import choose
from service.artifact.parity import logit_difference
from service.gpu import compilation
from service.gpu import engine as device_program
from service.gpu.compilation import COMPILED_FOLDER, Choice, choice_for, device_key, prepare
from service.gpu.engine import DeviceEngine
from service.gpu.plan import (
    choose_bucket,
    choose_device_layout,
    interval_s,
    measure_buckets,
)
from service.gpu.streams import HostDevice
from service.inference_runner import InferenceRunner
from service.runner.admission import Admission
from service.runner.jobs import Inference
from service.runner.plan import Layout
from tests.service.small_vit import CLASSES, SIDE, small_vit, some_pixels, write_program

HOST = HostDevice()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_program(tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="module")
def engine(program: Path) -> DeviceEngine:
    return device_program.load(program, "cpu", 1)


def fp32(pixels: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return np.asarray(small_vit()(torch.from_numpy(pixels)))


def test_it_answers_as_fp32_does_within_bf16s_precision(engine: DeviceEngine) -> None:
    pixels = some_pixels(21)
    found = engine(pixels)
    assert found.dtype == np.float32
    assert found.shape == (21, CLASSES)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    difference = logit_difference(fp32(pixels), found)
    assert 1e-4 < difference.largest < 0.1 * difference.typical  # it is bf16, and it is close
    assert (found.argmax(axis=1) == fp32(pixels).argmax(axis=1)).mean() >= 0.9


def test_the_answer_does_not_depend_on_the_batch(engine: DeviceEngine) -> None:
    pixels = some_pixels(8)
    together = engine(pixels)
    for number, image in enumerate(pixels):
        np.testing.assert_allclose(engine(image[None])[0], together[number], atol=2e-2)


def test_it_says_what_runs_it(engine: DeviceEngine) -> None:
    assert engine.device == "cpu"
    assert engine.runtime == f"torch {torch.__version__}, bf16, program"
    assert engine.buckets == device_program.CPU_BUCKETS


def test_the_runner_serves_it(engine: DeviceEngine) -> None:
    pixels = some_pixels(12)
    runner = InferenceRunner(
        engine,
        lambda data: pixels[data[0]],
        Layout(3, engine.lanes, 8),
        Admission(60, 0.01, 0.01, engine.lanes),
    )

    async def ask() -> list[Inference]:
        jobs = (runner.classify(bytes([number])) for number in range(len(pixels)))
        return list(await asyncio.gather(*jobs))

    found = np.stack([one.probabilities for one in asyncio.run(ask())])
    runner.close()
    np.testing.assert_allclose(found, engine(pixels), atol=2e-2)


def test_what_was_compiled_for_such_a_device_is_taken(program: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(program, tmp_path))
    assert choice_for(copy, HOST).method == "program"
    (tmp_path / COMPILED_FOLDER).mkdir()
    record = tmp_path / COMPILED_FOLDER / f"{device_key(HOST)}.json"
    record.write_text(json.dumps({"method": "torch.compile"}))
    assert choice_for(copy, HOST).method == "torch.compile"
    record.write_text(json.dumps({"method": "AOTInductor", "image_shape": [SIDE, SIDE, 3]}))
    choice = choice_for(copy, HOST)
    assert choice.package == record.with_suffix(".pt2")
    record.rename(record.with_name("another-gpu-torch-2.15.json"))
    assert choice_for(copy, HOST).method == "program"


def test_a_package_is_loaded_for_one_thread_and_not_the_program_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "some-gpu.pt2"
    package.with_suffix(".json").write_text(json.dumps({"image_shape": [SIDE, SIDE, 3]}))
    asked: dict[str, object] = {}

    def load_package(path: str, **options: object) -> Callable[..., None]:
        asked.update(options, path=path)
        return lambda pixels: None

    monkeypatch.setattr(torch._inductor, "aoti_load_package", load_package)
    prepared = prepare(tmp_path / "missing.pt2", HOST, Choice("AOTInductor", "", package))
    assert prepared.image_shape == (SIDE, SIDE, 3)
    assert asked == {"path": str(package), "run_single_threaded": True, "device_index": -1}


def test_without_a_compiler_the_program_runs_as_it_is(
    program: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no C++ compiler\nand a long story")

    monkeypatch.setattr(compilation, "_compiled", fails)
    with caplog.at_level(logging.WARNING):
        prepared = prepare(program, HOST, Choice("torch.compile", ""))
    assert prepared.method == "program"
    (line,) = caplog.messages
    assert "no C++ compiler" in line
    assert "long story" not in line
    pixels = torch.from_numpy(some_pixels(2))
    with torch.inference_mode():
        assert prepared.program(pixels).shape == (2, CLASSES)


def test_the_fastest_is_chosen_and_of_equals_what_starts_quickest() -> None:
    slow = {1: 3.0, 8: 20.0}
    assert choose({"program": slow, "torch.compile": {1: 2.0, 8: 10.0}}) == "torch.compile"
    assert choose({"program": slow, "AOTInductor": {1: 9.0, 8: 20.2}}) == "AOTInductor"
    assert choose({"program": slow, "AOTInductor": {1: 9.0, 8: 21.0}}) == "program"
    # A batch that only one could hold is no comparison.
    assert choose({"program": {1: 3.0, 8: 20.0, 16: 21.0}, "torch.compile": {8: 15.0}}) == (
        "torch.compile"
    )


COSTS = {1: 2.0, 2: 2.1, 4: 2.4, 8: 3.6, 16: 6.4, 32: 12.2, 64: 24.0, 128: 47.0}
"""Of a GPU: from 8 on the cost grows with the batch, and the last doubling buys 2 %."""


def test_the_bucket_is_the_best_that_two_overlapping_batches_allow() -> None:
    assert choose_bucket(COSTS, 1, 50) == 128
    assert choose_bucket(COSTS, 2, 50) == 64
    assert choose_bucket(COSTS, 2, 25) == 32
    assert choose_bucket(COSTS, 2, 1) == 1


def test_layout_and_admission_follow_from_the_measured_costs(engine: DeviceEngine) -> None:
    costs = measure_buckets(engine, (SIDE, SIDE, 3), most_ms=10_000)
    assert list(costs) == list(engine.buckets)
    assert list(measure_buckets(engine, (SIDE, SIDE, 3), most_ms=0)) == [1]
    layout = choose_device_layout(costs, engine, cores=16, most_ms=10_000)
    assert (layout.workers, layout.lanes) == (18, 2)
    assert layout.max_batch in engine.buckets
    full = Layout(18, 2, 64)
    assert interval_s(COSTS, full, 1, 0.003, 16) == pytest.approx(0.024 / 64)
    assert interval_s(COSTS, full, 4, 0.003, 16) == pytest.approx(0.003 / 16)  # decoding is slower
