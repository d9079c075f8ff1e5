"""The generator tells the truth of servers that behave in known ways."""

import asyncio
import socket
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest

from challenges.load import generator
from challenges.load.arrivals import due_times
from challenges.load.generator import Target, generate
from challenges.load.observations import LOST, UNSENT, Observations
from tests.challenges.load.scripted_server import OK, Answer, at_once, raw_server, server


def load(answer: Answer, count: int = 50, timeout: float = 5) -> Observations:
    with server(answer) as (port, _):
        due = due_times("constant", 100, count / 100)
        return generate(Target(port), due, [b"x"], timeout)


def test_due_times() -> None:
    constant = due_times("constant", 50, 2)
    assert constant.tolist() == [number / 50 for number in range(100)]
    poisson = due_times("poisson", 50, 200, seed=1)
    assert len(poisson) == 10_000
    assert (np.diff(poisson) >= 0).all()
    gaps = np.diff(poisson) * 50
    assert abs(gaps.std() - 1) < 0.05  # exponential: the deviation is the mean
    assert (poisson == due_times("poisson", 50, 200, seed=1)).all()
    assert (poisson != due_times("poisson", 50, 200, seed=2)).any()


def test_every_request_arrives_with_its_body_and_is_answered() -> None:
    bodies = [bytes([65 + number]) * 100_000 for number in range(7)]
    with server(at_once) as (port, received):
        due = due_times("poisson", 200, 0.5)
        seen = generate(Target(port), due, bodies)
    assert seen.ok.all()
    assert sorted(received) == sorted(bodies[number % 7] for number in range(100))
    assert (seen.latency_ms > 0).all()
    assert (seen.sent >= seen.due).all()
    assert seen.wrong(lambda _, body: body == b"{}") == 0
    assert seen.wrong(lambda number, _: number % 2 == 0) == 50


def test_a_stall_is_seen_by_all_who_came_meanwhile() -> None:
    """A closed loop would see one slow request; users see all that were due in the pause."""
    stalled = asyncio.Lock()

    async def answer(number: int) -> bytes:
        async with stalled:
            if number == 10:
                await asyncio.sleep(0.3)
        return OK

    seen = load(answer)
    assert seen.ok.all()
    late = seen.latency_ms
    assert late[10] >= 300
    assert (late[11:20] > 150).all()
    assert seen.percentile(50) < seen.percentile(90)
    assert seen.percentile(99) >= 280


def test_lost_requests_are_counted_and_infinitely_late() -> None:
    async def answer(number: int) -> bytes | None:
        if number % 10 == 3:
            return None
        if number % 10 == 5:
            await asyncio.sleep(60)
        if number % 10 == 7:
            return b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n"
        return OK

    seen = load(answer, timeout=0.5)
    statuses = seen.status.tolist()
    assert statuses.count(503) == 5
    assert statuses.count(LOST) == 10  # five closed upon, five given up
    assert statuses.count(200) == int(seen.ok.sum()) == 35
    assert seen.percentile(99) == np.inf
    assert set(seen.retry_after[seen.status == 503]) == {2.0}
    assert np.isfinite(seen.done).all()


def test_nobody_listens() -> None:
    with server(at_once) as (port, _):
        pass
    seen = generate(Target(port), due_times("constant", 100, 0.2), [b"x"])
    assert seen.status.tolist() == [LOST] * 20
    assert seen.throughput == 0


def test_a_connection_is_used_again() -> None:
    """A server that closes after each answer is seen, one that keeps alive serves many on one."""
    for header, most in ((b"", 10), (b"Connection: close\r\n", 50)):
        reply = OK.replace(b"Content", header + b"Content")

        def serve(
            connection: socket.socket, reply: bytes = reply, closes: bool = most > 10
        ) -> None:
            while connection.recv(1 << 16):
                connection.sendall(reply)
                if closes:
                    break

        with raw_server(serve) as (port, accepted):
            assert generate(Target(port), due_times("constant", 50, 1), [b"x"]).ok.all()
            assert len(accepted) == 50 if most == 50 else len(accepted) <= most


IN_HALF_A_MINUTE = b"(in half a minute)"
"""Stands for a date, which is made when the test runs."""


@pytest.mark.parametrize(
    ("reply", "status", "retry_after"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n{}", 200, None),  # the end of the connection ends the body
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", LOST, None),  # not whole
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", LOST, None),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nRetry-After: 9\r\n\r\n" + OK,
            200,
            None,
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n", LOST, None),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\n{}\r\n0\r\nRetry-After: 9\r\n\r\n",
            200,
            9,
        ),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 7\r\n\r\n", 503, 7),
        (
            b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: %b\r\n\r\n" % IN_HALF_A_MINUTE,
            503,
            30,
        ),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: soon\r\n\r\n", 503, None),
        (OK + OK, 200, None),  # the second answers nothing
        (b"no HTTP", LOST, None),
    ],
)
def test_odd_answers_are_read_as_they_are_meant(
    reply: bytes, status: int, retry_after: float | None
) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    sent = reply.replace(IN_HALF_A_MINUTE, date.encode())

    def serve(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(sent)

    with raw_server(serve) as (port, _):
        seen = generate(Target(port), due_times("constant", 50, 0.1), [b"x"], timeout=2)
    assert seen.status.tolist() == [status] * 5
    if status == 200:
        assert set(seen.bodies) == {b"{}"}
    if retry_after is None:
        assert np.isnan(seen.retry_after).all()
    else:
        assert (abs(seen.retry_after - retry_after) <= 15).all()
    assert np.isfinite(seen.done).all()


@pytest.mark.parametrize("farewell", [b"", b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n"])
def test_connections_closed_between_requests_lose_none(farewell: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(OK)  # it does not say that this is the last one
        connection.sendall(farewell)

    with raw_server(serve) as (port, accepted):
        seen = generate(Target(port), due_times("constant", 50, 1), [b"x"])
        assert seen.ok.all()
        assert len(accepted) == 50


def test_what_a_server_has_seen_is_not_sent_again() -> None:
    received = []

    def serve(connection: socket.socket) -> None:
        for number in range(5):
            received.append(connection.recv(1 << 16))
            if number < 4:
                connection.sendall(OK)

    with raw_server(serve) as (port, _):
        seen = generate(Target(port), due_times("constant", 50, 1), [b"x"])
    assert len([one for one in received if one]) == 50
    assert 1 <= (seen.status == LOST).sum() <= 10


def test_answer_before_the_body_is_sent() -> None:
    """It counts, and the connection carries no other request behind half a body."""
    refusal = b"HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n"

    def serve(connection: socket.socket) -> None:
        if b"Content-Length: 1\r" in connection.recv(1000):
            connection.sendall(OK)
        else:
            connection.sendall(refusal)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):
                pass

    with raw_server(serve) as (port, accepted):
        due = due_times("constant", 20, 1)
        seen = generate(Target(port), due, [bytes(9_000_000), b"x"], timeout=5)
        assert seen.status.tolist() == [413, 200] * 10
        assert len(accepted) >= 20


def test_a_body_that_is_cut_off_by_a_refusal() -> None:
    """The server answers and closes at once, which resets the connection."""

    def serve(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n")

    with raw_server(serve) as (port, _):
        seen = generate(Target(port), due_times("constant", 20, 0.5), [bytes(9_000_000)], timeout=5)
    assert np.isfinite(seen.done).all()
    assert set(seen.status.tolist()) <= {413, LOST}
    assert (seen.done - seen.sent < 3).all()


def test_lack_of_descriptors_is_the_generators_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        gate.wait(30)
        connection.sendall(OK)

    with raw_server(serve) as (port, _):
        monkeypatch.setattr(generator, "MOST_CONNECTIONS", 8)
        seen = generate(Target(port), due_times("constant", 100, 0.2), [b"x"], timeout=1)
        gate.set()
    assert seen.status.tolist() == [LOST] * 8 + [UNSENT] * 12
    fault = "the generator could not send 12 requests: 8 connections are open, the most"
    assert seen.bottleneck() == fault
    assert seen.percentile(50) == np.inf
