"""Starting and stopping the real process: what it logs, when it refuses, how it drains."""

import os
import signal
import socket
import subprocess
import sys
import time
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
from service.settings import ROOT, Settings
from tests.conftest import ServiceProcess, post_in_background
from tests.service.artifact.test_verify import rewrite_manifest

Start = Callable[..., ServiceProcess]
STEPS = ("verify", "match", "load", "warm-up", "replay", "ready")


def refusal(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """The one line with which a start is refused."""
    command = [sys.executable, "-m", "service.inference_service", "--port", "0", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=60,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if " INFO " not in line]
    assert len(lines) == 1
    return lines[0].removeprefix("error: ")


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


def test_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"cannot listen on 127.0.0.1 port {port}: " in refusal("--port", str(port))


def test_two_starts_at_once(start_service: Start) -> None:
    """One gets the port, the other ends with a line, whichever way their steps interleave."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    pair = [start_service("--port", port) for _ in range(2)]
    deadline = time.monotonic() + 60
    while all(one.process.poll() is None for one in pair) and time.monotonic() < deadline:
        time.sleep(0.05)
    (loser,) = [one for one in pair if one.process.poll() is not None]
    (winner,) = [one for one in pair if one is not loser]
    assert loser.process.returncode == 1
    assert f"error: cannot listen on 127.0.0.1 port {port}" in loser.log.read_text()
    assert "Traceback" not in loser.log.read_text()
    assert httpx.get(f"{winner.url}/readyz").status_code == 200


def test_form_that_cannot_be_loaded(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*_: object) -> None:
        raise RuntimeError("out of memory\nsecond line")

    monkeypatch.setattr(startup, "load_engine", out_of_memory)
    with pytest.raises(OperatorError, match=r"does not run on cpu: out of memory\. Choose an"):
        startup.load_model(Settings(artifact=bundle.path, device="cpu"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--artifact", "/no/such"], "no artifact at /no/such: there is no such folder. Build one"),
        (["--engine", "tensorrt"], "setting --engine (SERVICE_ENGINE) is 'tensorrt': Input should"),
        (
            ["--device", "cuda"],
            "device cuda: expected an NVIDIA GPU that torch can use, found",
        ),
        (["--port", "99999"], "setting --port (SERVICE_PORT) is '99999': Input should be less"),
        (["--artifact-digest", "0" * 64], "is another artifact than the one asked for"),
        (["--host", "203.0.113.1"], "cannot listen on 203.0.113.1 port 0"),
        (["--host", "exämple.."], "cannot listen on exämple.. port 0"),
        (["--drain-seconds", "inf"], "setting --drain-seconds (SERVICE_DRAIN_SECONDS) is 'inf'"),
    ],
)
def test_wrong_settings(arguments: list[str], words: str) -> None:
    environment = {"CUDA_VISIBLE_DEVICES": ""}
    assert words in refusal(*arguments, environment=environment)


def test_settings_from_the_environment() -> None:
    line = refusal(environment={"SERVICE_THREADS": "0"})
    assert "setting --threads (SERVICE_THREADS) is '0'" in line


def test_help_lists_every_setting() -> None:
    command = [sys.executable, "-m", "service.inference_service", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in done.stdout


def test_damaged_artifact(bundle_copy: Path) -> None:
    with (bundle_copy / "model.onnx").open("r+b") as file:
        file.truncate(1000)
    line = refusal("--artifact", str(bundle_copy))
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
    monkeypatch.setattr(startup, "gpu_count", lambda: 0)
    assert chosen() == (default, "cpu")
    monkeypatch.setattr(startup, "gpu_count", lambda: 1)
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


def test_drain_loses_no_request(start_service: Start) -> None:
    """After SIGTERM: not ready at once, yet every request is answered until the listener closes."""
    service = start_service("--drain-seconds", "1.5")
    url = service.url
    data = SAMPLE_PHOTOS[0].read()
    with post_in_background(url, data) as answers:
        while not answers:
            time.sleep(0.01)
        before = len(answers)
        service.process.send_signal(signal.SIGTERM)
        service.wait_for(" drain ")
        assert httpx.get(f"{url}/readyz").status_code == 503
        assert httpx.get(f"{url}/livez").status_code == 200
        time.sleep(0.5)
    assert len(answers) > before
    assert {answer.status_code for answer in answers} == {200}
    assert service.process.wait(timeout=30) == 0
    assert "Traceback" not in service.log.read_text()


def test_a_client_that_leaves_is_no_fault_of_ours(start_service: Start) -> None:
    service = start_service("--body-seconds", "1")
    host, port = service.url.removeprefix("http://").split(":")
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf"
    with socket.create_connection((host, int(port))) as leaves:
        leaves.sendall(head)
    with socket.create_connection((host, int(port))) as stalls:
        stalls.sendall(head)
        answer = b""
        while not answer.endswith(b"}") and (part := stalls.recv(1000)):
            answer += part
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"the body was not complete after 1 s (4 bytes)" in answer
    assert httpx.get(f"{service.url}/livez").status_code == 200
    assert "GET /livez" in service.log.read_text()  # the access log
    assert service.stop(signal.SIGINT) == 0
    assert "Traceback" not in service.log.read_text()


def test_asked_twice_it_stops_at_once(start_service: Start) -> None:
    service = start_service("--drain-seconds", "600")
    service.wait_for(" ready ")
    service.process.send_signal(signal.SIGTERM)
    service.wait_for(" drain ")
    assert service.stop(signal.SIGTERM) == 0


def test_interrupted_while_loading(start_service: Start) -> None:
    service = start_service("--engine", "exported-program", "--device", "cpu")  # takes seconds
    service.wait_for(" match ")
    assert service.stop(signal.SIGINT) == 130
    log = service.log.read_text()
    assert log.endswith("interrupted before the service was ready\n")
    assert "Traceback" not in log
