"""The bf16 form by the device engine: exported, loaded and run on the CPU."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
import torch

from service.artifact.parity import logit_difference
from service.errors import OperatorError
from service.gpu import engine as device_program
from service.gpu.engine import DeviceEngine
from service.inference_runner import InferenceRunner
from service.runner.admission import Admission
from service.runner.jobs import Inference
from service.runner.plan import Layout
from tests.service.simulated_device import SimulatedDevice
from tests.service.small_vit import CLASSES, random_pixels, small_vit, write_program


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
    pixels = random_pixels(21)
    answers = engine(pixels)
    assert answers.dtype == np.float32
    assert answers.shape == (21, CLASSES)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    difference = logit_difference(fp32(pixels), answers)
    assert 1e-4 < difference.largest < 0.1 * difference.typical  # it is bf16, and it is close
    assert (answers.argmax(axis=1) == fp32(pixels).argmax(axis=1)).mean() >= 0.9


def test_the_answer_does_not_depend_on_the_batch(engine: DeviceEngine) -> None:
    pixels = random_pixels(8)
    together = engine(pixels)
    for number, image in enumerate(pixels):
        np.testing.assert_allclose(engine(image[None])[0], together[number], atol=2e-2)


def test_it_says_what_runs_it(engine: DeviceEngine) -> None:
    assert engine.device == "cpu"
    assert engine.runtime == f"torch {torch.__version__}, bf16, program"
    assert engine.buckets == device_program.CPU_BUCKETS


def test_the_runner_serves_it(engine: DeviceEngine) -> None:
    pixels = random_pixels(12)
    runner = InferenceRunner(
        engine,
        lambda data: pixels[data[0]],
        Layout(3, engine.lanes, 8),
        Admission(60, 0.01, 0.01, engine.lanes),
    )

    async def ask() -> list[Inference]:
        jobs = (runner.classify(bytes([number])) for number in range(len(pixels)))
        return list(await asyncio.gather(*jobs))

    answers = np.stack([one.probabilities for one in asyncio.run(ask())])
    runner.close()
    np.testing.assert_allclose(answers, engine(pixels), atol=2e-2)


def test_too_little_memory_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "model.bf16.pt2"
    program.write_bytes(bytes(50_000_000))
    device = SimulatedDevice(name="cuda:0")
    device.free = 70_000_000
    monkeypatch.setattr(device_program, "open_devices", lambda _: [device])
    with pytest.raises(OperatorError) as caught:
        device_program.load(program, "cuda", 1)
    line = str(caught.value)
    assert "cuda:0 has too little free memory" in line
    assert "needs about 0.7 GB, 0.1 GB are free" in line
    assert "--device cpu" in line
    assert "\n" not in line
