"""Several processes before one device: from outside they are one service."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx2 as httpx
import psutil
import pytest

from service.artifact.recipe import default_photos
from service.settings import ROOT
from tests.conftest import ServiceProcess, post_in_background, wait_until
from tests.service.simulated_device import WITH_A_DEVICE_THAT_BREAKS

Start = Callable[..., ServiceProcess]


def find_front_ends(service: ServiceProcess) -> list[psutil.Process]:
    children = psutil.Process(service.process.pid).children()
    alive = (child for child in children if child.status() != psutil.STATUS_ZOMBIE)
    return [child for child in alive if "spawn_main" in str(child.cmdline())]


def wait_until_gone(processes: Sequence[psutil.Process]) -> None:
    _gone, alive = psutil.wait_procs(processes, timeout=20)
    for process in alive:
        process.kill()
    assert not alive


@pytest.fixture
def service(start_service: Start, small_bundle: Path) -> Iterator[ServiceProcess]:
    started = start_service(
        "--front-ends", "2", "--device", "cpu", "--artifact", str(small_bundle),
        "--drain-seconds", "0.5",
    )  # fmt: skip
    assert "2 front ends" in started.wait_for(" ready ")
    children = find_front_ends(started)
    yield started
    started.process.kill()
    wait_until_gone(children)  # however it ended, no front end is left


def metric(text: str, name: str) -> float:
    line = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert line, text
    return float(line[1])


def test_all_answer_as_one_service(service: ServiceProcess) -> None:
    """The same answers from each front end, one sum of all, an orderly end."""
    photo = default_photos().golden[0].read_bytes()
    children = find_front_ends(service)
    assert len(children) == 2
    answers, before = [], [sum(child.cpu_times()[:2]) for child in children]
    for _ in range(40):  # each in a connection of its own, which the system gives to one front end
        answers.append(httpx.post(f"{service.url}/predict", content=photo, timeout=30))
    assert {answer.status_code for answer in answers} == {200}
    assert len({str(answer.json()["predictions"]) for answer in answers}) == 1
    spent = [sum(child.cpu_times()[:2]) for child in children]
    assert all(now > then for now, then in zip(spent, before, strict=True))
    assert httpx.post(f"{service.url}/predict", content=b"no image").status_code == 422
    artifact = httpx.get(f"{service.url}/artifact").json()
    assert (artifact["form"], artifact["device"]) == ("bf16", "cpu")
    assert (artifact["front_ends"], artifact["lanes"]) == (2, 4)

    def text() -> str:
        return str(httpx.get(f"{service.url}/metrics").text)

    outcome = 'inference_requests_total{outcome="%s"}'
    wait_until(lambda: metric(text(), outcome % "answered") == 40)
    wait_until(lambda: metric(text(), outcome % "failed") == 1)
    assert metric(text(), "inference_latency_seconds_count") == 40
    one = 'inference_device_images_total{batch="1",device="cpu"}'
    wait_until(lambda: metric(text(), one) >= 40)
    assert metric(text(), "process_resident_memory_bytes") == pytest.approx(
        psutil.Process(service.process.pid).memory_info().rss, rel=0.5
    )
    assert not any(
        "libtorch" in mapped.path for child in children for mapped in child.memory_maps()
    )
    assert service.stop(signal.SIGTERM) == 0
    assert "Traceback" not in service.log.read_text()


def test_an_accepted_request_is_answered_before_the_end(service: ServiceProcess) -> None:
    photo = default_photos().golden[0].read_bytes()
    with post_in_background(service.url, photo) as answers:
        wait_until(lambda: len(answers) > 5)
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: httpx.get(f"{service.url}/readyz").status_code == 503)
        so_far = len(answers)
        wait_until(lambda: len(answers) > so_far)  # served on while not ready
    assert {answer.status_code for answer in answers} == {200}
    assert service.process.wait(20) == 0


def test_ctrl_c_ends_it_in_order(service: ServiceProcess) -> None:
    group = os.getpgid(service.process.pid)  # a terminal signals all of it
    assert group not in {os.getpgid(child.pid) for child in find_front_ends(service)}
    assert service.stop(signal.SIGINT) == 0
    assert "Traceback" not in service.log.read_text()


def test_a_front_end_that_dies_ends_all(service: ServiceProcess) -> None:
    find_front_ends(service)[0].kill()
    assert service.process.wait(20) == 70
    assert "ended with -9; ending the others" in service.log.read_text()


def test_front_ends_end_with_their_owner(service: ServiceProcess) -> None:
    service.process.kill()  # the fixture checks that they end


def test_a_second_service_on_the_port_is_refused(
    service: ServiceProcess, start_service: Start, small_bundle: Path
) -> None:
    port = service.url.rpartition(":")[2]
    second = start_service("--front-ends", "2", "--artifact", str(small_bundle), "--port", port)
    assert second.process.wait(60) == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in (
        second.log.read_text()
    )
    assert httpx.get(f"{service.url}/readyz").status_code == 200


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--console",), "--console needs the one process"),
        (("--decode", "gpu"), "--decode gpu needs the one process"),
        ((), "this serves form onnx-int8"),
        (("--artifact", "no/such/folder"), "no artifact at no/such/folder"),
        (("--front-ends", "0"), "setting --front-ends (SERVICE_FRONT_ENDS) is '0'"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(
    options: tuple[str, ...], said: str, start_service: Start
) -> None:
    service = start_service("--front-ends", "2", "--device", "cpu", *options)
    assert service.process.wait(60) == 1
    (line,) = (line for line in service.log.read_text().splitlines() if "error: " in line)
    assert said in line


def test_a_lost_device_ends_all(small_bundle: Path, tmp_path: Path) -> None:
    flag, log = tmp_path / "broken", tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", WITH_A_DEVICE_THAT_BREAKS, str(flag), "--port", "0",
             "--artifact", str(small_bundle), "--device", "cpu", "--front-ends", "2"],
            cwd=ROOT, stdout=output, stderr=output, text=True,
        )  # fmt: skip
    service = ServiceProcess(process, log)
    try:
        url, photo = service.url, default_photos().golden[0].read_bytes()
        children = find_front_ends(service)
        assert httpx.post(f"{url}/predict", content=photo, timeout=30).status_code == 200
        flag.touch()
        answer = httpx.post(f"{url}/predict", content=photo, timeout=30)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert "device-side assert" in answer.json()["error"]
        assert process.wait(timeout=30) == 70
        wait_until_gone(children)
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in log.read_text()
