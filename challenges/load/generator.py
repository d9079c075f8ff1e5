"""The load generator: one thread sends what is due, another receives.

Blocking threads keep time better than an event loop: sleep is exact to about 50 µs, while the
timers of asyncio and uvloop count whole milliseconds.
"""

import errno
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import httptools
import numpy as np

from challenges.load.arrivals import Seconds
from challenges.load.client import HOST, AnswerReader, request_bytes
from challenges.load.observations import LOST, Observations

MOST_CONNECTIONS = 4096


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go."""

    port: int
    path: str = "/predict"
    host: str = HOST
    headers: Mapping[str, str] | None = None
    """Besides Host and Content-Length; {"Content-Type": "image/jpeg"} if not given."""

    def request(self, body: bytes) -> bytes:
        """Return the whole HTTP/1.1 request."""
        headers = {"Content-Type": "image/jpeg"} if self.headers is None else self.headers
        return request_bytes((self.host, self.port), self.path, body, headers)


def generate(
    target: Target, due: Seconds, bodies: Sequence[bytes], timeout: float = 10
) -> Observations:
    """Send one request at each moment of `due`; return what became of each.

    Args:
        target: where to.
        due: seconds from the start, ascending (`arrivals.due_times`).
        bodies: request i carries bodies[i % len(bodies)].
        timeout: seconds after which a request is given up.

    Returns:
        A request without an answer has status 0.
    """
    requests = [target.request(body) for body in bodies]
    run = _Run(target, due, timeout)
    receiver = threading.Thread(target=run.receive, daemon=True)
    busy = time.process_time()
    run.start = time.perf_counter()
    receiver.start()
    for number, moment in enumerate(due):
        wait = run.start + moment - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        run.send(number, requests[number % len(requests)])
    run.all_sent.set()
    receiver.join()
    wall = time.perf_counter() - run.start
    return Observations(
        due=due,
        sent=run.sent,
        done=run.done,
        status=run.status,
        bodies=run.bodies,
        retry_after=run.retry_after,
        cpu_share=(time.process_time() - busy) / wall,
    )


class _Run:
    """State shared by the two threads. Only one thread at a time writes a request's slots."""

    def __init__(self, target: Target, due: Seconds, timeout: float) -> None:
        self.target = target
        self.timeout = timeout
        self.start = 0.0
        self.all_sent = threading.Event()
        self.sent = np.full(len(due), np.nan)
        self.done = np.full(len(due), np.nan)
        self.status = np.full(len(due), LOST)
        self.retry_after = np.full(len(due), np.nan)
        self.bodies: list[bytes] = [b""] * len(due)
        self.idle: deque[_Connection] = deque()
        self.connections: dict[int, _Connection] = {}
        self.poll = select.epoll()

    def now(self) -> float:
        return time.perf_counter() - self.start

    def send(self, number: int, request: bytes) -> None:
        self.sent[number] = self.now()
        try:
            try:
                connection = self.idle.pop()
            except IndexError:
                connection = _Connection(self)
            connection.send(number, request)
        except OSError:
            self.done[number] = self.now()  # nobody listens; the request stays LOST

    def receive(self) -> None:
        """Receive until every request is answered, lost or given up."""
        checked = 0.0
        while not self.all_sent.is_set() or self._waiting():
            for file, event in self.poll.poll(0.05):
                connection = self.connections.get(file)
                if connection is not None:
                    connection.on_event(event)
            if self.now() - checked > 0.1:
                checked = self.now()
                for late in self._waiting():
                    late.give_up_if_late(checked)
        for connection in list(self.connections.values()):
            connection.close()
        self.poll.close()

    def _waiting(self) -> "list[_Connection]":
        return [each for each in list(self.connections.values()) if each.number is not None]


class _Connection:
    """A kept-alive connection with at most one request in flight."""

    def __init__(self, run: _Run) -> None:
        if len(run.connections) >= MOST_CONNECTIONS:
            raise OSError("too many connections")
        self._run = run
        self.number: int | None = None
        """The request in flight."""
        self._socket = socket.socket()
        self._socket.setblocking(False)  # a server that is slow to accept must not hold up others
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        error = self._socket.connect_ex((run.target.host, run.target.port))
        if error not in (0, errno.EINPROGRESS):
            self._socket.close()
            raise OSError(error, "cannot connect")
        run.connections[self._socket.fileno()] = self
        run.poll.register(self._socket, select.EPOLLIN)

    def send(self, number: int, request: bytes) -> None:
        self._reader = AnswerReader()
        self._unsent = memoryview(request)
        self.number = number
        try:
            self._write()
        except OSError:
            self._on_closed()

    def _write(self) -> None:
        with suppress(BlockingIOError):
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        if self._unsent:  # a large body: the receiving thread goes on when there is room
            self._run.poll.modify(self._socket, select.EPOLLIN | select.EPOLLOUT)

    def on_event(self, event: int) -> None:
        """Handle what epoll reports; called in the receiving thread."""
        try:
            if event & select.EPOLLOUT:
                self._run.poll.modify(self._socket, select.EPOLLIN)
                self._write()
            if event & ~select.EPOLLOUT:
                data = self._socket.recv(65536)
                if not data:
                    raise ConnectionResetError
                self._reader.feed(data)
                if self._reader.complete and self.number is not None:
                    self._on_answer()
        except BlockingIOError:
            return
        except (OSError, httptools.HttpParserError):
            self._on_closed()

    def _on_answer(self) -> None:
        assert self.number is not None
        answer = self._reader.read_answer()
        self._run.status[self.number], self._run.bodies[self.number] = answer.status, answer.body
        if (retry_after := self._reader.headers.get(b"retry-after")) is not None:
            self._run.retry_after[self.number] = float(retry_after)
        self._settle()
        if self._reader.keeps_alive:
            self._run.idle.append(self)
        else:
            self.close()

    def give_up_if_late(self, now: float) -> None:
        if self.number is not None and now - self._run.sent[self.number] > self._run.timeout:
            self._settle()
            self.close()

    def _settle(self) -> None:
        if self.number is not None:
            self._run.done[self.number] = self._run.now()
            self.number = None

    def _on_closed(self) -> None:
        """Count the request in flight as lost: the server closed. It is not sent again."""
        self._settle()
        self.close()

    def close(self) -> None:
        self._run.connections.pop(self._socket.fileno(), None)
        with suppress(ValueError):
            self._run.idle.remove(self)
        self._socket.close()
