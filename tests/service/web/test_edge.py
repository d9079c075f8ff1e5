"""What every answer carries, the ports, and what an error of ours leaves in the log."""

import asyncio
import re
import socket
from collections.abc import Callable
from pathlib import Path

import httpx2 as httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.verify import Bundle
from service.runner.jobs import Counters
from service.settings import ROOT
from service.web.edge import Edge
from service.web.keys import add_key
from tests.conftest import ServiceProcess, refuse_start
from tests.service.web.test_protocol import connect, read_answer

PHOTO = SAMPLE_PHOTOS[0].read()
Start = Callable[..., ServiceProcess]
OPERATORS = ("/metrics", "/artifact", "/docs", "/redoc", "/openapi.json")


def test_every_answer_names_model_and_request(start_service: Start, bundle: Bundle) -> None:
    url = start_service().url
    answers = [
        httpx.post(f"{url}/predict", content=PHOTO),
        httpx.post(f"{url}/predict", content=b""),
        *(httpx.get(f"{url}{path}") for path in ("/livez", "/nothing", *OPERATORS)),
    ]
    for answer in answers:
        assert answer.headers["x-model-digest"] == bundle.digest[:12]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
        assert str(ROOT) not in answer.text  # no folder of this machine
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)
    with connect(url) as odd:  # refused before the application sees it
        odd.sendall(b"this is no HTTP\r\n\r\n")
        refused = read_answer(odd)
    assert refused.getheader("x-model-digest") == bundle.digest[:12]
    assert refused.getheader("x-content-type-options") == "nosniff"
    for path in ("/docs", "/redoc"):
        page = httpx.get(f"{url}{path}")
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert page.headers["referrer-policy"] == "no-referrer"


async def call(
    edge: Edge, path: str = "/x", headers: dict[str, str] | None = None
) -> list[Message]:
    sent = list[Message]()

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {
        "type": "http", "method": "GET", "path": path, "root_path": "", "query_string": b"",
        "http_version": "1.1", "client": ("127.0.0.1", 1),
        "headers": [(name.encode(), text.encode()) for name, text in (headers or {}).items()],
    }  # fmt: skip
    await edge(scope, receive, send)
    return sent


async def answer(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body"})


@pytest.mark.parametrize("given", ["abc", "a/b+c=1:2@x.y_z-0", "x" * 128])
def test_id_of_a_client_is_kept(given: str) -> None:
    (start, _body) = asyncio.run(call(Edge(answer, Counters()), headers={"x-request-id": given}))
    assert start["headers"] == [(b"x-request-id", given.encode())]


@pytest.mark.parametrize("given", ["", "a b", 'x"y', "x" * 129, "a\x1b[31m", "é"])
def test_id_that_could_harm_a_log_is_replaced(given: str) -> None:
    (start, _body) = asyncio.run(call(Edge(answer, Counters()), headers={"x-request-id": given}))
    assert re.fullmatch(b"[0-9a-f]{32}", start["headers"][0][1])


def test_error_of_ours_is_counted_and_leaves_the_id(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    counters = Counters()
    caplog.set_level("INFO", "service.access")
    with pytest.raises(ZeroDivisionError):
        asyncio.run(call(Edge(fail, counters)))
    assert (counters.statuses[500], counters.refusals["error"]) == (1, 1)
    assert '"GET /x HTTP/1.1" 500' in caplog.text


def test_connection_ends_with_an_error_of_ours() -> None:
    """uvicorn closes it: another request on it would be lost."""

    async def fail(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})

    (start,) = asyncio.run(call(Edge(fail, Counters())))
    assert (b"connection", b"close") in start["headers"]
    (start, _body) = asyncio.run(call(Edge(answer, Counters())))
    assert (b"connection", b"close") not in start["headers"]


def test_unknown_status_is_counted_as_another() -> None:
    counters = Counters()
    edge = Edge(answer, counters)
    for status in (418, 507, 200):
        edge.count(status)
    assert (counters.statuses[0], counters.statuses[200]) == (2, 1)
    assert (counters.refusals["bad_request"], counters.refusals["error"]) == (1, 1)


def test_operators_have_a_port_of_their_own(start_service: Start, tmp_path: Path) -> None:
    key = add_key("app", tmp_path / "keys")
    service = start_service("--admin-port", "0", "--api-keys", str(tmp_path / "keys"), "--console")
    url, allowed = service.url, {"Authorization": f"Bearer {key}"}
    line = service.wait_for(" admin ")
    admin = next(word.rstrip(":") for word in line.split() if "://" in word)
    for path in OPERATORS:
        assert httpx.get(f"{url}{path}", headers=allowed).status_code == 404
        assert httpx.get(f"{admin}{path}").status_code == 200  # no key: the port is the fence
    for port in (url, admin):
        assert httpx.get(f"{port}/readyz").status_code == 200
        assert httpx.post(f"{port}/predict", content=PHOTO).status_code == 401
        assert httpx.post(f"{port}/predict", content=PHOTO, headers=allowed).status_code == 200
    assert httpx.get(f"{url}/console", headers=allowed).status_code == 404
    asked = httpx.get(f"{admin}/console")
    assert (asked.status_code, asked.headers["www-authenticate"]) == (
        401,
        'Basic realm="model service"',
    )
    page = httpx.get(f"{admin}/console", auth=("anybody", key))
    assert page.status_code == 200
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    with connect(admin) as idle:  # does not hold up the stop
        service.process.terminate()
        service.wait_for(" drain ")
        assert httpx.get(f"{admin}/readyz").status_code == 503
        service.process.terminate()
        assert service.process.wait(timeout=30) == 0
        idle.settimeout(5)
        assert idle.recv(1) == b""


def test_admin_port_in_use_is_found_before_the_model_is_loaded() -> None:

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"cannot listen on 127.0.0.1 port {port}: " in refuse_start("--admin-port", port)
