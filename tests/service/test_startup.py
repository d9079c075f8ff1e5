"""Starting and stopping the real process: what it logs, when it refuses, how it drains."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx2 as httpx
import pytest

from service import startup
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.verify import Bundle
from service.engines import FORMS, STANDARD_FORMS
from service.errors import OperatorError
from service.gpu.diagnosis import GpuFacts
from service.settings import Settings
from tests.conftest import ServiceProcess, refuse_start
from tests.service.artifact.test_verify import rewrite_manifest

Start = Callable[..., ServiceProcess]
STEPS = ("verify", "match", "load", "warm-up", "replay", "ready")


def test_logs_each_step_with_its_time(start_service: Start) -> None:
    service = start_service()
    assert httpx.get(f"{service.url}/readyz").status_code == 200
    lines = service.log.read_text().splitlines()[: len(STEPS)]
    assert [line.split()[2] for line in lines] == list(STEPS)
    assert all(" · " in line for line in lines)
    assert service.stop(signal.SIGINT) == 0
    assert "Traceback" not in service.log.read_text()


@pytest.mark.parametrize("form", STANDARD_FORMS)
def test_every_form_serves_the_photos(start_service: Start, bundle: Bundle, form: str) -> None:
    url = start_service("--engine", form, "--device", "cpu").url
    for photo in SAMPLE_PHOTOS:
        answer = httpx.post(f"{url}/predict", content=photo.read()).json()
        sure = any(
            p > 0.3 for p in bundle.manifest.forms["eager"].golden[golden(photo.file)].values()
        )
        if sure or FORMS[form].precision == "fp32":
            assert answer["predictions"][0]["label"] in photo.labels
    artifact = httpx.get(f"{url}/artifact").json()
    assert (artifact["form"], artifact["device"]) == (form, "cpu")
    assert artifact["engine"].startswith("torch" if FORMS[form].needs_torch else "ONNX Runtime")


def golden(file: str) -> str:
    return f"golden/{Path(file).name}"


def test_torch_is_not_imported_for_an_onnx_form(bundle: Bundle) -> None:
    script = (
        "import sys; sys.modules['torch'] = None; sys.modules['torchvision'] = None\n"
        "from service.inference_service import create_app; from service.settings import Settings\n"
        f"app = create_app(Settings(artifact={str(bundle.path)!r}, device='cpu'))\n"
        "print(app.state.model.form.name)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == bundle.manifest.default_form, done.stderr


def test_form_that_cannot_be_loaded(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*_: object) -> None:
        raise RuntimeError("out of memory\nsecond line")

    monkeypatch.setattr(startup, "load_engine", out_of_memory)
    with pytest.raises(OperatorError, match=r"does not run on cpu: out of memory\. Choose an"):
        startup.load_model(Settings(artifact=bundle.path, device="cpu"))


def test_damaged_artifact(bundle_copy: Path) -> None:
    with (bundle_copy / "model.onnx").open("r+b") as file:
        file.truncate(1000)
    line = refuse_start("--artifact", str(bundle_copy))
    assert "model.onnx was changed: expected" in line
    assert "found 1,000" in line


def test_form_that_the_artifact_does_not_hold(bundle_copy: Path, bundle: Bundle) -> None:
    forms = bundle.manifest.model_dump(mode="json")["forms"]
    del forms["torchscript"]
    rewrite_manifest(bundle_copy, forms=forms)
    with pytest.raises(OperatorError, match="engine torchscript: the artifact holds no such form"):
        startup.load_model(Settings(artifact=bundle_copy, engine="torchscript", device="cpu"))


def test_other_environment_is_refused_or_said(
    bundle_copy: Path, bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    environment = bundle.manifest.environment.model_dump()
    environment["packages"]["pillow"] = "1.0"
    rewrite_manifest(bundle_copy, environment=environment)
    with pytest.raises(OperatorError, match=r"pillow .* \(validated with 1\.0\).*make setup"):
        startup.load_model(Settings(artifact=bundle_copy, device="cpu"))
    model = startup.load_model(Settings(artifact=bundle_copy, device="cpu", environment="warn"))
    assert model.environment_differences[0].startswith("pillow ")
    assert "environment differs: pillow" in caplog.text
    model.close()


def test_golden_photo_that_is_answered_otherwise(bundle_copy: Path, bundle: Bundle) -> None:
    forms = bundle.manifest.model_dump(mode="json")["forms"]
    form = bundle.manifest.default_form
    photo, expected = next(iter(forms[form]["golden"].items()))
    class_id = next(iter(expected))
    expected[class_id] += 0.05
    rewrite_manifest(bundle_copy, forms=forms)
    with pytest.raises(OperatorError, match=rf"golden photo {photo}: class {class_id} .*tolerance"):
        startup.load_model(Settings(artifact=bundle_copy, device="cpu"))


def test_gpu_is_chosen_where_there_is_one(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(**settings: str) -> tuple[str, str]:
        form, device = startup._choose(
            Settings.model_validate({"artifact": bundle.path, **settings}), bundle.manifest
        )
        return form.name, device

    default = bundle.manifest.default_form
    monkeypatch.setattr("service.gpu.diagnosis.gpu_count", lambda: 0)
    assert chosen() == (default, "cpu")
    monkeypatch.setattr("service.gpu.diagnosis.gpu_count", lambda: 1)
    facts = GpuFacts((13, 2), 1, "2.15.0", "13.2", torch_sees_gpus=False)
    monkeypatch.setattr("service.gpu.diagnosis.read_gpu_facts", lambda: facts)
    assert chosen() == (default, "cpu")
    with pytest.raises(OperatorError, match=r"found that there is one, but torch .* cannot use it"):
        chosen(device="cuda")
    monkeypatch.setattr(
        "service.gpu.diagnosis.read_gpu_facts", lambda: replace(facts, torch_sees_gpus=True)
    )
    assert chosen() == ("eager", "cuda")
    assert chosen(device="cpu") == (default, "cpu")
    assert chosen(engine="onnx-fp32") == ("onnx-fp32", "cpu")
    assert chosen(engine="exported-program", device="cuda") == ("exported-program", "cuda")
    with pytest.raises(OperatorError, match="engine onnx-fp32 runs on a CPU only"):
        chosen(engine="onnx-fp32", device="cuda")
