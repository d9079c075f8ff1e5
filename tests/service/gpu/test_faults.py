"""A device that is lost: requests are answered 503, and the process ends."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import httpx2 as httpx

from service.artifact.recipe import default_photos
from service.errors import OverloadedError
from service.gpu.engine import DeviceEngine
from service.inference_runner import InferenceRunner
from service.runner.admission import Admission
from service.runner.jobs import Inference
from service.runner.plan import Layout
from service.settings import ROOT
from tests.conftest import ServiceProcess
from tests.service.engines_for_tests import one_byte
from tests.service.gpu.test_staging import make_pipeline
from tests.service.simulated_device import WITH_A_DEVICE_THAT_BREAKS, SimulatedDevice


def test_requests_to_a_lost_device_are_answered_503() -> None:
    device = SimulatedDevice()
    engine = DeviceEngine([make_pipeline(device)], "program")
    runner = InferenceRunner(
        engine, lambda data: one_byte(data)[:2, :2], Layout(2, 1, 8), Admission(10, 0.01, 0.01, 1)
    )

    async def ask(*values: int) -> list[object]:
        jobs = (runner.classify(bytes([value])) for value in values)
        return list(await asyncio.gather(*jobs, return_exceptions=True))

    (answer,) = asyncio.run(ask(5))
    assert isinstance(answer, Inference)
    assert answer.probabilities.tolist() == [5, 60]
    device.broken = RuntimeError("CUDA error: unspecified launch failure")
    errors = asyncio.run(ask(*range(6)))
    assert all(isinstance(one, OverloadedError) for one in errors), errors
    assert all("unspecified launch failure" in str(one) for one in errors)
    runner.close()
    assert (runner.counters.answered, runner.counters.failed) == (1, 6)


def test_a_lost_device_ends_the_service(small_bundle: Path, tmp_path: Path) -> None:
    flag, log = tmp_path / "broken", tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", WITH_A_DEVICE_THAT_BREAKS, str(flag), "--port", "0",
             "--artifact", str(small_bundle), "--device", "cpu"],
            cwd=ROOT, stdout=output, stderr=output, text=True,
        )  # fmt: skip
    try:
        url = ServiceProcess(process, log).url
        photo = default_photos().golden[0].read_bytes()
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            assert client.post("/predict", content=photo).status_code == 200
            artifact = client.get("/artifact").json()
            assert (artifact["precision"], artifact["lanes"]) == ("bf16", 2)
            assert "random weights of the seed 0" in artifact["architecture"]["source"]
            metrics = client.get("/metrics").text
            assert re.search(
                r'inference_device_seconds_total\{batch="1",device="cpu"\} 0\.', metrics
            )
            flag.touch()
            answer = client.post("/predict", content=photo)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert "device-side assert" in answer.json()["error"]
        assert process.wait(timeout=30) == 70
    finally:
        process.kill()
        process.wait()
    text = log.read_text()
    assert "ERROR" in text
    assert "Traceback" not in text
