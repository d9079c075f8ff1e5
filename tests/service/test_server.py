"""The real process: its port, its signals, its drain."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2 as httpx
import pytest

from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.settings import ROOT
from tests.conftest import ServiceProcess, post_in_background, refuse_start, wait_until

Start = Callable[..., ServiceProcess]


def test_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"cannot listen on 127.0.0.1 port {port}: " in refuse_start("--port", str(port))


def test_two_starts_at_once(start_service: Start) -> None:
    """One gets the port, the other ends with a line, whichever way their steps interleave."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    pair = [start_service("--port", port) for _ in range(2)]
    wait_until(lambda: any(one.process.poll() is not None for one in pair), seconds=60)
    (loser,) = [one for one in pair if one.process.poll() is not None]
    (winner,) = [one for one in pair if one is not loser]
    assert loser.process.returncode == 1
    assert f"error: cannot listen on 127.0.0.1 port {port}" in loser.log.read_text()
    assert "Traceback" not in loser.log.read_text()
    assert httpx.get(f"{winner.url}/readyz").status_code == 200


def test_drain_loses_no_request(start_service: Start) -> None:
    """After SIGTERM: not ready at once, yet every request is answered until the listener closes."""
    service = start_service("--drain-seconds", "1.5")
    url = service.url
    data = SAMPLE_PHOTOS[0].read()
    with post_in_background(url, data) as answers:
        wait_until(lambda: bool(answers))
        before = len(answers)
        service.process.send_signal(signal.SIGTERM)
        service.wait_for(" drain ")
        assert httpx.get(f"{url}/readyz").status_code == 503
        assert httpx.get(f"{url}/livez").status_code == 200
        wait_until(lambda: len(answers) > before + 3)
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


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-"])
def test_serves_and_stops_without_standard_files(closed: str) -> None:
    """A socket that got one of their numbers would abort the process at the stop."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    service = f"{sys.executable} -m service.inference_service --port {url.rpartition(':')[2]}"
    with subprocess.Popen(
        ["bash", "-c", f"exec {service} --drain-seconds 0 {closed}"], cwd=ROOT
    ) as process:
        try:
            wait_until(lambda: is_ready(url), seconds=60)
            answer = httpx.post(f"{url}/predict", content=SAMPLE_PHOTOS[0].read(), timeout=30)
            assert answer.status_code == 200
            process.terminate()
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("loaded", ["service", "service.settings"])
def test_first_process_of_a_container_ends_while_it_loads(loaded: str) -> None:
    """The system ignores SIGTERM for process 1, unless it has a handler."""
    namespace = ["unshare", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*namespace, "true"], capture_output=True).returncode:
        pytest.skip("this user must not create PID namespaces")
    script = f"import {loaded}, signal; print('loaded', flush=True); signal.pause()"
    with subprocess.Popen(
        [*namespace, sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"loaded\n"
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGTERM)
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
