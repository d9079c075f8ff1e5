"""The load generator: one thread sends what is due, another receives.

Blocking threads keep time better than an event loop: sleep is exact to about 50 µs, while the
timers of asyncio and uvloop count whole milliseconds.
"""

import errno
import math
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httptools
import numpy as np

from challenges.load.arrivals import Seconds
from challenges.load.client import HOST, AnswerReader, request_bytes
from challenges.load.observations import LOST, UNSENT, Observations

MOST_CONNECTIONS = 4096
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_GONE = (OSError, KeyError, ValueError)
"""What is raised for a connection that the server, or the other thread, has closed."""
# What this process or its machine lacks: descriptors, memory for sockets, free ports.
_OWN_FAULTS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}


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
        A request without an answer has status 0, one that could not be sent has `UNSENT`.
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
        own_fault=run.own_fault,
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
        self.own_fault = ""
        self.idle: deque[_Connection] = deque()
        self.connections: set[_Connection] = set()
        # epoll on Linux, kqueue on a Mac: both take changes while another thread waits.
        self.selector = selectors.DefaultSelector()

    def now(self) -> float:
        return time.perf_counter() - self.start

    def send(self, number: int, request: bytes) -> None:
        """Send on a kept connection, if one is still open, else on a new one."""
        self.sent[number] = self.now()
        with suppress(IndexError):
            while not self.idle.pop().send(number, request, is_reused=True):
                pass  # the server has closed it, and has seen nothing of this request
            return
        try:
            connection = _Connection(self)
        except OSError as error:
            self.done[number] = self.now()
            if error.errno in _OWN_FAULTS:
                self.own_fault = error.strerror or str(error)
                self.status[number] = UNSENT
            return  # else nobody listens; the request stays LOST
        connection.send(number, request)

    def receive(self) -> None:
        """Receive until every request is answered, lost or given up."""
        checked = 0.0
        while not self.all_sent.is_set() or self._waiting():
            for key, events in self.selector.select(0.05):
                key.data.on_event(events)
            if self.now() - checked > 0.1:
                checked = self.now()
                for late in self._waiting():
                    late.give_up_if_late(checked)
        for connection in list(self.connections):
            connection.close()
        self.selector.close()

    def _waiting(self) -> "list[_Connection]":
        return [each for each in list(self.connections) if each.number is not None]


class _Connection:
    """A kept-alive connection with at most one request in flight."""

    def __init__(self, run: _Run) -> None:
        if len(run.connections) >= MOST_CONNECTIONS:
            raise OSError(errno.EMFILE, f"{MOST_CONNECTIONS:,} connections are open, the most")
        self._run = run
        self.number: int | None = None
        """The request in flight."""
        self._reader = AnswerReader()
        self._unsent = memoryview(b"")
        self._watched = _READ
        self._is_cut = False
        self._socket = socket.socket()
        self._socket.setblocking(False)  # a server that is slow to accept must not hold up others
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        error = self._socket.connect_ex((run.target.host, run.target.port))
        if error not in (0, errno.EINPROGRESS):
            self._socket.close()
            raise OSError(error, os.strerror(error))
        run.connections.add(self)
        run.selector.register(self._socket, _READ, self)

    def send(self, number: int, request: bytes, is_reused: bool = False) -> bool:
        """Send a request; returns False if a kept connection has ended before its first byte.

        Then it may be sent again on another one. A request of which the server may have seen a
        byte must not be: it may have done what the request asks (RFC 9110, 9.2.2).
        """
        if is_reused and self._has_ended():
            self.close()
            return False
        self._reader, self._unsent = AnswerReader(), memoryview(request)
        self.number = number
        try:
            self._write()
        except _GONE:
            if is_reused and len(self._unsent) == len(request):
                self.number = None
                self.close()
                return False
            self._stop_writing()
        return True

    def _has_ended(self) -> bool:
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True  # an end, or bytes that nobody asked for

    def _write(self) -> None:
        with suppress(BlockingIOError):
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        self._watch(_READ | _WRITE if self._unsent else _READ)

    def _watch(self, events: int) -> None:
        """Have the receiving thread go on with a large body when there is room."""
        if events != self._watched:
            self._watched = events
            self._run.selector.modify(self._socket, events, self)

    def _stop_writing(self) -> None:
        """Read on: the server has closed, perhaps behind an answer."""
        self._is_cut, self._unsent = True, memoryview(b"")
        with suppress(*_GONE):
            self._watch(_READ)

    def on_event(self, events: int) -> None:
        """Handle what the selector reports; called in the receiving thread."""
        if events & _WRITE and self._unsent:
            try:
                self._write()
            except _GONE:
                self._stop_writing()
        if not events & _READ:
            return
        try:
            data = self._socket.recv(65536)
            if data:
                self._reader.feed(data)
            else:
                self._reader.end()
        except BlockingIOError:
            return
        except (OSError, httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._on_closed()
            return
        if self.number is not None and self._reader.complete:
            self._on_answer()
        elif self.number is None or not data:
            self._on_closed()

    def _on_answer(self) -> None:
        assert self.number is not None
        answer = self._reader.read_answer()
        self._run.status[self.number], self._run.bodies[self.number] = answer.status, answer.body
        if (retry_after := self._reader.headers.get(b"retry-after")) is not None:
            self._run.retry_after[self.number] = read_retry_after(retry_after)
        self._settle()
        # Behind an answer that came early the server would take the rest of the body for a request.
        if self._reader.keeps_alive and not self._unsent and not self._is_cut:
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
        self._run.connections.discard(self)
        with suppress(ValueError):
            self._run.idle.remove(self)
        if self._socket.fileno() >= 0:
            with suppress(*_GONE):
                self._run.selector.unregister(self._socket)
            self._socket.close()


def read_retry_after(value: bytes) -> float:
    """Return the seconds that `Retry-After` asks for, from a number or a date; NaN from neither.

    A date counts from now and is never before it (RFC 9110, 10.2.3).
    """
    text = value.decode("latin-1").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return math.nan
    return max(
        0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    )
