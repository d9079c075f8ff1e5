"""One request, bounded in time and in memory, whatever comes back."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httptools
import pytest

from challenges.load.client import MOST_BYTES, Answer, AnswerReader, ask, request_bytes
from challenges.minimal_service.grading.submission.running import free_port
from tests.challenges.load.scripted_server import OK

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@contextmanager
def replying(reply: bytes, *, then: bytes = b"") -> Iterator[int]:
    """Give the port of a server that sends bytes, and `then` for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _address = listening.accept()
            with connection:
                try:
                    connection.recv(1 << 16)
                    connection.sendall(reply)
                    while then:
                        connection.sendall(then)
                        threading.Event().wait(0.01)
                except OSError:
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (OK, Answer(200, b"{}")),
        (b"HTTP/1.1 404 No\r\n" + CHUNKED + b"2\r\nno\r\n0\r\n\r\n", Answer(404, b"no")),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", Answer(200, b"to the end")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", Answer(200, b"cut", whole=False)),
        (b"HTTP/1.1 20", Answer(0, b"", whole=False)),
        (b"no HTTP", Answer(0, b"", whole=False)),
        (b"", Answer(0, b"", whole=False)),
    ],
)  # fmt: skip
def test_what_comes_back_is_the_answer(reply: bytes, answer: Answer) -> None:
    with replying(reply) as port:
        assert ask(port, "/predict", 5, b"photo") == answer


def test_an_answer_without_end_is_bounded() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"
    with replying(head, then=b"x" * (1 << 16)) as port:
        assert len(ask(port).body) < 2 * MOST_BYTES
    with replying(head, then=b"x") as port:
        assert not ask(port, seconds=0.3).whole


def test_nobody_listening_is_an_error_of_the_system() -> None:
    with pytest.raises(OSError, match="refused"):
        ask(free_port())
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        ask(silent.getsockname()[1], seconds=0.2)


def test_requests_and_answers_are_http() -> None:
    request = request_bytes(("host", 80), "/a?k=1", b"body", {"X-Deadline-Ms": "5"})
    assert request.startswith(b"POST /a?k=1 HTTP/1.1\r\nHost: host:80\r\nX-Deadline-Ms: 5\r\n")
    assert request.endswith(b"Content-Length: 4\r\n\r\nbody")
    assert request_bytes(("host", 80), "/").startswith(b"GET / HTTP/1.1\r\n")
    reader = AnswerReader()
    for number in range(len(OK)):  # however the bytes are cut
        assert not reader.complete
        reader.feed(OK[number : number + 1])
    assert reader.complete
    assert reader.keeps_alive
    assert reader.headers == {b"content-length": b"2"}
    with pytest.raises(httptools.HttpParserError):
        AnswerReader().feed(b"no HTTP")
