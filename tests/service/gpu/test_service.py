"""The whole service with the bf16 form: it answers, and ends when its device is lost."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2 as httpx
import pytest
import torch
from torch import Tensor

from service.artifact import compiled
from service.artifact.recipe import default_photos
from service.artifact.verify import verify
from service.errors import OperatorError
from service.gpu import compilation
from service.gpu import engine as device_program
from service.settings import ROOT
from tests.service.simulated_device import WITH_A_DEVICE_THAT_BREAKS


def test_it_answers_and_a_lost_device_ends_it(small_bundle: Path, tmp_path: Path) -> None:
    flag, log = tmp_path / "broken", tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", WITH_A_DEVICE_THAT_BREAKS, str(flag), "--port", "0",
             "--artifact", str(small_bundle), "--device", "cpu"],
            cwd=ROOT, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        url = _address(process, log)
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


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"ready +(http://\S+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(log.read_text())


COSTS = {"program": {1: 2.0, 8: 4.0}, "AOTInductor": {1: 1.0, 8: 2.0}}


@pytest.mark.parametrize(("off", "winner"), [(0.0, "AOTInductor"), (0.5, "program")])
def test_what_is_fastest_and_right_joins_the_bundle(
    off: float,
    winner: str,
    small_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The compilers are replaced: they take minutes. One of them is missing, one fast."""

    def no_compiler(*_: object) -> None:
        raise RuntimeError("no C++ compiler")

    def write_package(program: Path, package: Path, _: object, shape: tuple[int, ...]) -> None:
        shutil.copy(program, package)
        package.with_suffix(".json").write_text(json.dumps({"image_shape": shape}))

    def load_package(path: str, **_: object) -> Callable[[Tensor], Tensor]:
        module = torch.export.load(path).module()
        return lambda pixels: module(pixels) + off

    monkeypatch.setattr(compilation, "_compiled", no_compiler)
    monkeypatch.setattr(compiled, "_write_package", write_package)
    monkeypatch.setattr(compiled, "_time_buckets", lambda engine, _: COSTS[engine.compiled_by])
    monkeypatch.setattr("torch._inductor.aoti_load_package", load_package)
    bundle = Path(shutil.copytree(small_bundle, tmp_path / "bundle"))
    before, lines = verify(bundle).digest, list[str]()
    assert compiled.compile_bundle(bundle, "cpu", lines.append) == winner
    assert ("another answer than the program's" in "".join(lines)) == (winner == "program")
    after = verify(bundle)
    assert after.digest != before
    packages = [name for name in after.manifest.files if name.startswith("compiled/")]
    assert [name.rsplit(".", 1)[1] for name in packages] == (
        ["json", "pt2"] if winner == "AOTInductor" else ["json"]
    )
    engine = device_program.load(bundle / "model.bf16.pt2", "cpu", 1)
    assert engine.compiled_by == winner
    compiled.compile_bundle(bundle, "cpu", lines.append)  # again: nothing is left of the first
    assert verify(bundle).manifest.files.keys() == after.manifest.files.keys()
    (bundle / packages[0]).write_text("{}")
    with pytest.raises(OperatorError, match="was changed"):
        verify(bundle)
