"""The one HTTP/1.1 client: a request as bytes, an answer read from bytes, and `ask` for both.

It serves programs that measure or judge a server: timeouts bound the whole exchange, and whatever
comes back, the caller gets an `Answer` or an OSError.
"""

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httptools

HOST = "127.0.0.1"
MOST_BYTES = 1 << 16
"""`ask` reads no more of an answer."""
_SWITCHING = 101
"""Another protocol follows (RFC 9110, 15.2.2): the only final answer among the 1xx."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    """HTTP status; 0: what came back is not HTTP."""
    body: bytes
    whole: bool = True
    """The body has arrived to its end."""

    @property
    def is_html(self) -> bool:
        """Whether it is a page for people."""
        return self.body.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html"))


def request_bytes(
    address: tuple[str, int],
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Return a whole request: POST with a body, GET without one.

    Args:
        address: host and port.
        path: with its query, if any.
        body: bytes to post.
        headers: besides Host and Content-Length.
    """
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1"]
    lines.append(f"Host: {address[0]}:{address[1]}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


class AnswerReader:
    """Reads one answer from the bytes of a connection, however they are cut.

    Interim answers (1xx) before it are skipped, and what comes after it is not read.
    """

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._status = 0
        self.headers: dict[bytes, bytes] = {}
        """Names in lower case."""
        self.complete = False
        self.keeps_alive = False
        """The connection may carry another request; known once the answer is complete."""

    def feed(self, data: bytes) -> None:
        """Take in what was received.

        Raises:
            httptools.HttpParserError: it is not HTTP.
        """
        if self.complete:  # nobody asked for more
            self.keeps_alive = False
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self.complete:
                raise

    def end(self) -> None:
        """Note that the server has closed: it ends a body without a length (RFC 9112, 6.3)."""
        coding = self.headers.get(b"transfer-encoding", b"").lower()
        if self._status and b"content-length" not in self.headers and b"chunked" not in coding:
            self.complete = True

    def read_answer(self) -> Answer:
        """Return what has arrived so far."""
        return Answer(self._status, b"".join(self._parts), self.complete)

    # httptools calls the methods below.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header; a trailer changes none."""
        self.headers.setdefault(name.lower(), value)

    def on_headers_complete(self) -> None:
        """Note the status, which is known now."""
        if self.complete:
            self.keeps_alive = False
        else:
            self._status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """Store a part of the body."""
        if not self.complete:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """Note the end of the answer, if it is no interim one."""
        if 100 <= self._status < 200 and self._status != _SWITCHING:
            self._status = 0
            self.headers.clear()
        elif not self.complete:
            self.complete = True
            self.keeps_alive = bool(self._parser.should_keep_alive())


def ask(
    port: int,
    path: str = "/readyz",
    seconds: float = 2.0,
    body: bytes | None = None,
    on_sent: Callable[[], object] | None = None,
) -> Answer:
    """Send one request to 127.0.0.1; return its answer, or what has come of it in time.

    The timeout of most clients starts anew with each byte that trickles in. This one does not.

    Args:
        port: of 127.0.0.1.
        path: what to ask for.
        seconds: for all of it.
        body: is posted; GET without it.
        on_sent: called once the request is wholly sent.

    Raises:
        OSError: nobody listens, the connection broke, or time was up, before any byte came.
    """
    deadline = time.monotonic() + seconds
    reader, received = AnswerReader(), 0
    with socket.create_connection((HOST, port), timeout=seconds) as connection:
        connection.sendall(request_bytes((HOST, port), path, body, {"Connection": "close"}))
        if on_sent is not None:
            on_sent()
        while not reader.complete and received < MOST_BYTES:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                chunk = connection.recv(1 << 14)
                if not chunk:
                    reader.end()
                    break
                received += len(chunk)
                reader.feed(chunk)
            except httptools.HttpParserError:
                return Answer(0, b"", whole=False)
            except OSError:
                if not received:
                    raise
                break
            if time.monotonic() > deadline:
                break
    return reader.read_answer()
