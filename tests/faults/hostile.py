"""Slow and lying clients: `python -m tests.faults.hostile KIND PORT SECONDS`.

They run in a process of their own, at low priority: they must not take the service's cores.
"""

import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /predict HTTP/1.1\r\nHost: x\r\n"
_PAUSE_S = 0.05


def declare(length: int) -> bytes:
    return POST + b"Content-Length: %d\r\n\r\n" % length


class Crowd:
    """Connections that are opened again when the service closes them."""

    def __init__(self, port: int, count: int, first: bytes = b"") -> None:
        self._port, self._first = port, first
        self.members = [self.open() for _ in range(count)]

    def open(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        client.sendall(self._first)
        client.setblocking(False)
        return client

    def drip(self, data: bytes, reads: bool = True) -> None:
        """Send to each; read what has come; open again what was closed."""
        for number, client in enumerate(self.members):
            try:
                if data and select.select([], [client], [], 0)[1]:
                    client.send(data)
                if reads and select.select([client], [], [], 0)[0] and not client.recv(1 << 16):
                    raise ConnectionResetError
            except OSError:
                client.close()
                with suppress(OSError):
                    self.members[number] = self.open()


def drip_header(port: int) -> Iterator[None]:
    """Slowloris: 200 heads, a line at a time."""
    crowd = Crowd(port, 200, b"GET /livez HTTP/1.1\r\nHost: x\r\n")
    while True:
        crowd.drip(b"X: y\r\n")
        yield


def endless_header(port: int) -> Iterator[None]:
    """Heads without an end, as fast as they are read."""
    crowd = Crowd(port, 8, b"GET /livez HTTP/1.1\r\nX: ")
    while True:
        crowd.drip(b"x" * 4096)
        yield


def silence(port: int) -> Iterator[None]:
    """500 connections without a byte."""
    crowd = Crowd(port, 500)
    while True:
        crowd.drip(b"")
        yield


def drip_body(port: int) -> Iterator[None]:
    """60 bodies of 10 MiB, some bytes at a time."""
    crowd = Crowd(port, 60, declare(10 * 2**20))
    while True:
        crowd.drip(bytes(1000))
        yield


def tiny_chunks(port: int) -> Iterator[None]:
    """Chunked bodies, a byte a chunk."""
    crowd = Crowd(port, 20, POST + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        crowd.drip(b"1\r\nx\r\n")
        yield


def declare_too_much(port: int) -> Iterator[None]:
    """A whole body, and a length that promises more."""
    crowd = Crowd(port, 40, declare(5000) + bytes(4000))
    while True:
        crowd.drip(b"")
        yield


def declare_too_little(port: int) -> Iterator[None]:
    """What follows the declared body is no request."""
    while True:
        crowd = Crowd(port, 20, declare(100) + bytes(5000))
        yield
        crowd.drip(b"")
        close_all(crowd)


def half_close(port: int) -> Iterator[None]:
    """Half a request, and the end of the client's half of the connection."""
    while True:
        crowd = Crowd(port, 20, declare(5000) + bytes(100))
        for client in crowd.members:
            with suppress(OSError):
                client.shutdown(socket.SHUT_WR)
        yield
        close_all(crowd)


def pipeline(port: int) -> Iterator[None]:
    """100 requests in a packet; the answers are read."""
    crowd = Crowd(port, 10)
    while True:
        crowd.drip(GET * 100)
        yield


def never_read(port: int) -> Iterator[None]:
    """Requests whose answers are not read."""
    crowd = Crowd(port, 10)
    while True:
        crowd.drip(GET.replace(b"livez", b"openapi.json") * 10, reads=False)
        yield


def upload_too_much(port: int) -> Iterator[None]:
    """Bodies of 100 MB, which are refused and sent on."""
    crowd = Crowd(port, 4, declare(100_000_000))
    while True:
        crowd.drip(bytes(1 << 20))
        yield


def reset_in_the_body(port: int) -> Iterator[None]:
    """Connections that are reset in the middle of a body."""
    while True:
        crowd = Crowd(port, 20, declare(100_000) + bytes(50_000))
        for client in crowd.members:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        close_all(crowd)
        yield


def come_and_go(port: int) -> Iterator[None]:
    """Connections that are opened and closed."""
    while True:
        close_all(Crowd(port, 20))
        yield


def no_http(port: int) -> Iterator[None]:
    """Bytes that are no HTTP."""
    while True:
        crowd = Crowd(port, 20, b"\x16\x03\x01\x02\x00" + bytes(500))
        yield
        close_all(crowd)


def close_all(crowd: Crowd) -> None:
    for client in crowd.members:
        client.close()


KINDS: dict[str, Callable[[int], Iterator[None]]] = {
    one.__name__.replace("_", "-"): one
    for one in (
        drip_header, endless_header, silence, drip_body, tiny_chunks, declare_too_much,
        declare_too_little, half_close, pipeline, never_read, upload_too_much, reset_in_the_body,
        come_and_go, no_http,
    )
}  # fmt: skip


def main() -> None:
    kind, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    os.nice(10)
    until = time.monotonic() + seconds
    acts, steps = KINDS[kind](port), 0
    while time.monotonic() < until:
        try:
            next(acts)
            steps += 1
        except OSError:  # the service refuses connections: begin again
            acts = KINDS[kind](port)
        select.select([], [], [], _PAUSE_S)
    print(steps)


if __name__ == "__main__":
    main()
