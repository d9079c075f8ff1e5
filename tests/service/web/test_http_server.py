"""The drain of kept connections, restarts without a gap, and limits of the process."""

import re
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx2 as httpx
import pytest

from challenges.load.arrivals import due_times
from challenges.load.generator import Target, generate
from challenges.load.observations import Observations
from service.artifact.sample_photos import SAMPLE_PHOTOS
from tests.conftest import ServiceProcess, start_process, wait_until
from tests.service.test_listener import hand_over
from tests.service.web.test_protocol import connect, post, read_all, read_answer

PHOTO = SAMPLE_PHOTOS[0].read()
Start = Callable[..., ServiceProcess]
# A busy machine may need long for what gathers during a restart; it must not be refused.
PATIENT = ("--drain-seconds", "0", "--max-requests", "2000", "--shutdown-seconds", "120")


def send_photos(pool: ThreadPoolExecutor, port: int, count: int) -> Future[Observations]:
    """Send photos at 30/s on kept connections, whose clients can wait for a restart."""
    target = Target(port, headers={"X-Deadline-Ms": "60000"})
    due = due_times("constant", 30, count / 30, seed=0)
    return pool.submit(generate, target, due, [PHOTO], timeout=90)


def check_all_answered(load: Future[Observations]) -> None:
    seen = load.result()
    others = [(n, s, seen.bodies[n][:200]) for n, s in enumerate(seen.status) if s != 200]
    assert others == []


def wait_for_photos(service: ServiceProcess, count: int) -> None:
    wait_until(lambda: service.log.read_text().count("POST /predict") >= count, seconds=60)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A listening socket that outlives services."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as outlives:
        yield outlives


def test_drain_ends_kept_connections_with_an_answer(start_service: Start) -> None:
    service = start_service("--drain-seconds", "1")
    url = service.url
    ask = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(url) as used, connect(url) as idle, connect(url) as inside:
        for client in (used, idle):
            client.sendall(ask)
            assert read_answer(client).getheader("connection") is None
        inside.sendall(post(body=PHOTO[:100], declared=len(PHOTO)))
        service.process.send_signal(signal.SIGTERM)
        service.wait_for(" drain ")
        with connect(url) as new:
            for client in (used, new):
                client.sendall(ask)
                assert read_answer(client).getheader("connection") == "close"
                assert client.recv(1) == b""
        assert idle.recv(1) == b""
        service.wait_for(" stop ")
        inside.sendall(PHOTO[100:])
        answer = read_answer(inside)
        assert (answer.status, answer.getheader("connection")) == (200, "close")
    assert service.process.wait(timeout=30) == 0


def test_requests_that_arrive_at_the_stop_are_answered(start_service: Start) -> None:
    """On kept connections, and on new ones that the service has not accepted yet."""
    service = start_service("--drain-seconds", "0")
    url = service.url
    ask = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(url) as kept, connect(url) as begun:
        kept.sendall(ask)
        assert read_answer(kept).status == 200
        begun.sendall(ask[:10])
        service.process.send_signal(signal.SIGSTOP)
        service.process.send_signal(signal.SIGTERM)
        kept.sendall(ask)
        with connect(url) as new:
            new.sendall(ask)
            service.process.send_signal(signal.SIGCONT)
            assert read_answer(kept).status == 200
            assert read_answer(new).status == 200
        service.wait_for(" stop ")
        begun.sendall(ask[10:])
        assert read_answer(begun).status == 200
    assert service.process.wait(timeout=30) == 0


def test_restarts_of_a_socket_that_outlives_them_lose_nothing(
    start_service: Start, listener: socket.socket
) -> None:
    port = listener.getsockname()[1]

    def start() -> ServiceProcess:
        return start_service(*PATIENT, wrapper=hand_over(listener), files=[listener])

    service = start()
    service.wait_for(" ready ")
    with ThreadPoolExecutor() as pool:
        load = send_photos(pool, port, 1000)
        for _ in range(2):
            wait_for_photos(service, 150)
            assert service.stop(signal.SIGTERM) == 0
            service = start()
            service.wait_for(" ready ")
    check_all_answered(load)


def test_the_next_process_may_listen_before_the_last_one_stops(start_service: Start) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = (*PATIENT, "--drain-seconds", "0.5", "--reuse-port", "--port", str(port))
    service = start_service(*options)
    service.wait_for(" ready ")
    with ThreadPoolExecutor() as pool:
        load = send_photos(pool, port, 300)
        wait_for_photos(service, 30)
        following = start_service(*options)
        following.wait_for(" ready ")
        assert service.stop(signal.SIGTERM) == 0
        wait_for_photos(following, 30)
    check_all_answered(load)


def test_limit_of_open_files(start_service: Start, tmp_path: Path) -> None:
    """The soft limit is raised to the hard one; far too low a limit is refused."""
    raised = start_service(wrapper=("bash", "-c", 'ulimit -Sn 64; exec "$@"', "-"))
    raised.wait_for(" ready ")
    limits = Path(f"/proc/{raised.process.pid}/limits").read_text()
    soft, hard = re.findall(r"Max open files +(\d+) +(\d+)", limits)[0]
    assert soft == hard
    assert "ulimit" not in raised.log.read_text()
    low = start_process(tmp_path / "low", wrapper=("bash", "-c", 'ulimit -n 40; exec "$@"', "-"))
    assert low.process.wait(timeout=60) == 1
    assert "error: ulimit -n is 40: expected at least" in low.log.read_text()


def test_pages_of_other_origins(start_service: Start) -> None:
    """Browsers may call the service for pages of the origins that are named, and of no others."""
    service = start_service("--cors-origins", "https://example.org")
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-deadline-ms",
    }
    for origin, allowed in (("https://example.org", True), ("https://evil.example", False)):
        headers = {"Origin": origin, **asked}
        preflight = httpx.options(f"{service.url}/predict", headers=headers)
        assert (preflight.status_code == 200) == allowed
        answer = httpx.post(f"{service.url}/predict", content=b"", headers={"Origin": origin})
        assert answer.status_code == 400
        for seen in (preflight, answer):
            assert ("access-control-allow-origin" in seen.headers) == allowed


def test_without_settings_other_origins_are_not_allowed(start_service: Start) -> None:
    answer = httpx.get(f"{start_service().url}/livez", headers={"Origin": "https://example.org"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_kept_connection_with_nothing_to_say_ends_at_the_stop(start_service: Start) -> None:
    """Silent ones, too: they do not hold up the stop."""
    service = start_service("--drain-seconds", "0")
    with connect(service.url) as silent:
        assert service.stop(signal.SIGTERM) == 0
        assert read_all(silent) == b""


def test_what_is_unfinished_at_the_end_is_answered_503(start_service: Start) -> None:
    service = start_service("--drain-seconds", "0", "--shutdown-seconds", "1")
    with connect(service.url) as slow:
        slow.sendall(post(body=PHOTO[:100], declared=len(PHOTO)))
        assert service.stop(signal.SIGTERM) == 0
        answer = read_answer(slow)
    assert (answer.status, answer.getheader("connection")) == (503, "close")
    assert "Traceback" not in service.log.read_text()
