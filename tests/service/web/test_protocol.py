"""What a connection may cost, and how an answer reaches a client that behaves oddly."""

import http.client
import json
import select
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from random import Random

import httpx2 as httpx
import pytest

from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.web.protocol import REST
from tests.conftest import ServiceProcess, start_process, wait_until

PHOTO = SAMPLE_PHOTOS[0].read()
MOST_HEAD = 4096
MOST_BODY = 1_000_000
HEAD_S = 1.0
LABEL = '"label":"espresso"'
Start = Callable[..., ServiceProcess]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with small limits."""
    service = start_process(
        tmp_path_factory.mktemp("service") / "log",
        *("--max-header-bytes", str(MOST_HEAD), "--header-seconds", str(HEAD_S)),
        *("--max-body-bytes", str(MOST_BODY), "--body-seconds", "2"),
        *("--keep-alive-seconds", "2", "--root-path", "/models"),
        *("--cors-origins", "https://example.org,http://localhost:3000"),
    )
    yield service.url
    service.process.kill()
    service.process.wait()


def connect(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=30)


def post(*lines: str, body: bytes = PHOTO, declared: int | None = None, path: str = "") -> bytes:
    length = len(body) if declared is None else declared
    head = (f"POST {path}/predict HTTP/1.1", "Host: x", f"Content-Length: {length}", *lines, "", "")
    return "\r\n".join(head).encode() + body


def read_answer(client: socket.socket) -> http.client.HTTPResponse:
    """Read one answer; nothing after it."""
    answer = http.client.HTTPResponse(client)
    answer.begin()
    answer.text = answer.read().decode()  # type: ignore[attr-defined]
    return answer


def read_all(client: socket.socket) -> bytes:
    """Read until the service closes the connection."""
    received = b""
    try:
        while part := client.recv(65536):
            received += part
    except ConnectionResetError:
        received += b"(reset)"
    return received


def send_all(client: socket.socket, data: bytes, times: int) -> int:
    """Send, never reading, until the service ends the connection; returns how often."""
    for number in range(times):
        try:
            client.sendall(data)
        except OSError:
            return number
    return times


@pytest.mark.parametrize(
    "lines",
    [
        ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
        ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
    ],
)
@pytest.mark.parametrize("cut", [0, 50, 250, 20_000])
def test_wish_for_another_protocol_is_ignored(url: str, lines: tuple[str], cut: int) -> None:
    """Whichever way the request is cut into packets, and the connection serves others."""
    request = post(*lines)
    with connect(url) as client:
        for _ in range(2):
            client.sendall(request[:cut])
            select.select([client], [], [], 0.05)  # the first part arrives alone
            client.sendall(request[cut:])
            answer = read_answer(client)
            assert (answer.status, LABEL in answer.text) == (200, True)  # type: ignore[attr-defined]


def test_chunked_body_with_a_wish_for_another_protocol(url: str) -> None:
    head = post("Connection: upgrade, close", "Upgrade: h2c", body=b"").replace(
        b"Content-Length: 0", b"Transfer-Encoding: chunked"
    )
    with connect(url) as client:
        client.sendall(head + b"%x\r\n" % len(PHOTO) + PHOTO + b"\r\n0\r\n\r\n")
        received = read_all(client)  # the wish to close is heard
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in received


def test_not_a_proxy(url: str) -> None:
    with connect(url) as client:
        client.sendall(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n")
        assert read_answer(client).status == 400


def test_half_closed_connection_gets_its_answer(url: str) -> None:
    with connect(url) as client:
        client.sendall(post())
        client.shutdown(socket.SHUT_WR)
        received = read_all(client)
    assert received.startswith(b"HTTP/1.1 ")
    assert received.count(b"HTTP/1.1 200 ") == 1
    assert LABEL.encode() in received
    with connect(url) as client:  # half a request is none
        client.sendall(post(declared=10**6))
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b""


@pytest.mark.parametrize("lines", [("Connection: close",), ()])
def test_refusal_is_seen_by_a_client_that_reads_late(url: str, lines: tuple[str]) -> None:
    """It sends all of its body before it reads."""
    request = post(*lines, body=bytes(5 * MOST_BODY))
    with connect(url) as client:
        client.sendall(request)
        answer = read_answer(client)
        assert answer.status == 413
        assert "larger than 1,000,000 bytes" in answer.text  # type: ignore[attr-defined]
        if lines:
            assert client.recv(1) == b""
        else:  # and the connection serves others
            client.sendall(post())
            assert read_answer(client).status == 200


def test_urllib_sees_the_refusal(url: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{url}/predict", bytes(5 * MOST_BODY), timeout=30)
    assert refused.value.code == 413
    assert "larger than 1,000,000 bytes" in json.load(refused.value)["error"]
    refused.value.close()


@pytest.mark.parametrize("lines", [("Connection: close",), ()])
def test_what_comes_after_a_refusal_is_bounded(url: str, lines: tuple[str]) -> None:
    """In bytes, and in time."""
    with connect(url) as client:
        client.sendall(post(*lines, body=b"", declared=10**9))
        sent = send_all(client, bytes(20_000), times=10_000) * 20_000
        assert sent < REST * MOST_BODY + 20 * 2**20  # and what the system keeps on the way
    with connect(url) as client:
        client.sendall(post(*lines, body=b"x", declared=10**9))
        assert read_answer(client).status == 413
        began = time.monotonic()
        client.settimeout(10)
        while time.monotonic() - began < 10:  # it drips
            try:
                client.sendall(b"x")
                if select.select([client], [], [], 0.1)[0] and not client.recv(1):
                    break
            except OSError:
                break
        if lines:  # the service has closed its half at once
            wait_until(lambda: send_all(client, b"x", 1) == 0)
        assert time.monotonic() - began < 10


def test_early_answer_to_a_client_that_waits_for_100_continue(url: str) -> None:
    """Whether it sends the body or not is not known, so the connection ends."""
    with connect(url) as client:
        client.sendall(post("Expect: 100-continue", body=b"", declared=10**7))
        answer = read_answer(client)
        assert (answer.status, answer.getheader("connection")) == (413, "close")
        assert client.recv(1) == b""
    with connect(url) as client:
        client.sendall(post("Expect: 100-continue", body=b"", declared=len(PHOTO)))
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(PHOTO)
        answer = read_answer(client)
        assert (answer.status, answer.getheader("connection")) == (200, None)


def test_head_over_the_limit(url: str) -> None:
    def ask(size: int) -> int:
        head = b"GET /livez HTTP/1.1\r\nHost: x\r\nX: \r\n\r\n"
        with connect(url) as client:
            client.sendall(head.replace(b"X: ", b"X: " + b"x" * (size - len(head))))
            answer = read_answer(client)
            if answer.status != 200:
                assert "larger than 4,096 bytes" in answer.text  # type: ignore[attr-defined]
                assert client.recv(1) == b""
            return answer.status

    assert ask(MOST_HEAD) == 200
    assert ask(MOST_HEAD + 1) == 431
    assert ask(10**6) == 431


@pytest.mark.parametrize("endless", [b"x" * 1000, b"x: y\r\n" * 200, b"\r\n" * 500])
@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"GET /",
        b"GET /livez HTTP/1.1\r\nX: ",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
    ],
)
def test_endless_head_or_trailer_ends(url: str, start: bytes, endless: bytes) -> None:
    """It is refused, or cut off after a while; health answers at once meanwhile."""
    with connect(url) as client:
        client.sendall(start)
        began = time.monotonic()
        sent = send_all(client, endless * 20, times=5000)
        assert sent < 5000
        assert time.monotonic() - began < 10
        assert httpx.get(f"{url}/livez", timeout=1).status_code == 200


def test_many_requests_in_one_packet(url: str) -> None:
    """Together they are larger than one head may be. Another client's request goes before them."""
    request = b"GET /livez HTTP/1.1\r\nHost: x\r\nX: %b\r\n\r\n" % (b"x" * (MOST_HEAD // 10))
    count = 3 * MOST_HEAD // len(request)
    last = request.replace(b"Host", b"Connection: close\r\nHost")
    with connect(url) as client:
        client.sendall(request * count + last)
        assert httpx.get(f"{url}/livez").status_code == 200
        assert not is_at_end(client, count + 1)
        assert read_all(client).count(b"HTTP/1.1 200 ") == count + 1


def is_at_end(client: socket.socket, count: int) -> bool:
    """Whether so many answers have come; none is taken away."""
    return client.recv(1 << 20, socket.MSG_PEEK).count(b"HTTP/1.1 200 ") == count


def test_slow_head_is_answered_408_and_silence_ends(url: str) -> None:
    began = time.monotonic()
    with connect(url) as half, connect(url) as silent, connect(url) as kept:
        half.sendall(b"GET /livez HTTP/1.1\r\nHo")
        kept.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_answer(kept).status == 200
        answer = read_answer(half)
        assert answer.status == 408
        assert "not complete after 1 s" in answer.text  # type: ignore[attr-defined]
        assert half.recv(1) == b""
        assert silent.recv(1) == b""
        kept.sendall(b"\r\n")  # no request
        assert kept.recv(1) == b""
        assert 1.9 < time.monotonic() - began < 10  # --keep-alive-seconds


def test_broken_requests_are_answered_in_json(url: str) -> None:
    for broken in (
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"\x16\x03\x01",
    ):
        with connect(url) as client:
            client.sendall(broken)
            answer = read_answer(client)
            assert answer.status == 400
            assert "not a valid HTTP/1.1 request" in answer.text  # type: ignore[attr-defined]
            assert client.recv(1) == b""
    with connect(url) as client:  # in the middle of a body
        client.sendall(b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n")
        assert read_answer(client).status == 400
    with connect(url) as client:  # behind a good one, whose answer arrives whole
        client.sendall(post() + b"hello\r\n\r\n")
        received = read_all(client)
        assert received.startswith(b"HTTP/1.1 200 ")
        assert received.count(b"HTTP/1.1") == 1
        assert LABEL.encode() in received


def test_mutated_requests_leave_health_and_log_as_they_were(start_service: Start) -> None:
    """Several in one connection, cut anywhere, from clients that leave at any time."""
    service = start_service("--header-seconds", "1", "--body-seconds", "1", "--no-access-log")
    url, random = service.url, Random(0)
    chunked = b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
    requests = [
        b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n",
        post(body=PHOTO[:500]),
        post("Expect: 100-continue", body=PHOTO[:500]),
        chunked + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\n\r\n",
    ]
    for _ in range(1000):
        data = bytearray(b"".join(random.choices(requests, k=3)))
        for _ in range(random.choice([0, 1, 3])):
            place = random.randrange(len(data) - 30)
            data[place : place + random.choice([0, 1, 20])] = random.choice(
                [b"", b"\r\n", b"\xff:"]
            )
        with connect(url) as client, suppress(OSError):
            cut = random.randrange(len(data))
            client.sendall(data[:cut])
            client.sendall(data[cut:])
            if random.random() < 0.3:
                client.shutdown(socket.SHUT_WR)
            if random.random() < 0.3:
                client.recv(1000)
    assert httpx.get(f"{url}/livez", timeout=1).status_code == 200
    assert service.stop() == 0
    assert "Traceback" not in service.log.read_text()


def test_a_client_that_does_not_read_is_given_up(url: str) -> None:
    with connect(url) as client:
        client.settimeout(30)
        ask = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100
        assert send_all(client, ask, times=5000) < 5000


def test_answers_name_no_server(url: str) -> None:
    for path in ("/livez", "/nothing"):
        assert "server" not in httpx.get(f"{url}{path}").headers


def test_prefix_that_the_proxy_strips_or_leaves(url: str) -> None:
    for path in ("", "/models"):
        answer = httpx.post(f"{url}{path}/predict", content=PHOTO)
        assert (answer.status_code, LABEL in answer.text) == (200, True)
        assert httpx.get(f"{url}{path}/livez").status_code == 200
    assert httpx.get(f"{url}/modelsx/livez").status_code == 404


def test_connections_beyond_the_descriptors(start_service: Start) -> None:
    """200 silent connections, where 128 files can be open: they make room for those that ask."""
    limit = ("bash", "-c", 'ulimit -n 128; exec "$@"', "-")
    service = start_service(wrapper=limit)
    url = service.url
    assert "connections at most, not 2000" in service.wait_for("ulimit -n is 128")
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connect(url))
        for _ in range(5):
            assert httpx.get(f"{url}/livez", timeout=1).status_code == 200
            answer = httpx.post(f"{url}/predict", content=PHOTO, timeout=10)
            assert (answer.status_code, LABEL in answer.text) == (200, True)
        service.wait_for("without a request for new ones")
    assert "no file descriptor" not in service.log.read_text()


def test_health_answers_while_all_connections_are_busy(start_service: Start) -> None:
    service = start_service("--max-connections", "10")
    url = service.url
    slow = post(body=PHOTO[:100], declared=len(PHOTO))
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(url)) for _ in range(10)]
        for client in clients:
            client.sendall(slow)
        wait_until(lambda: httpx.post(f"{url}/predict", content=PHOTO).status_code == 503)
        refused = httpx.post(f"{url}/predict", content=PHOTO)
        assert refused.json() == {"error": "10 connections are busy, the most; try again in 1 s"}
        assert refused.headers["retry-after"] == "1"
        for _ in range(30):  # silent ones take no place of health's
            stack.enter_context(connect(url))
        assert httpx.get(f"{url}/livez", timeout=1).status_code == 200
        assert httpx.get(f"{url}/readyz", timeout=1).status_code == 200
        for client in clients:
            client.sendall(PHOTO[100:])
            assert read_answer(client).status == 200
    assert httpx.post(f"{url}/predict", content=PHOTO).status_code == 200


def test_slow_bodies_beside_good_photos(start_service: Start) -> None:
    url = start_service().url
    with ExitStack() as stack:
        for _ in range(60):
            client = stack.enter_context(connect(url))
            client.sendall(post(body=PHOTO[:-1], declared=len(PHOTO)))
        for _ in range(5):
            assert httpx.get(f"{url}/livez", timeout=1).status_code == 200
            answer = httpx.post(f"{url}/predict", content=PHOTO, timeout=10)
            assert (answer.status_code, LABEL in answer.text) == (200, True)


def test_no_descriptor_left_is_logged(start_service: Start) -> None:
    service = start_service()
    with connect(service.url):
        import resource

        resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (5, 5))
        service.wait_for("no file descriptor is left")
