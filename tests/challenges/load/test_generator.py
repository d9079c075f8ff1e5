"""The generator tells the truth of servers that behave in known ways."""

import asyncio
import socket
import threading
from contextlib import suppress

import numpy as np

from challenges.load.arrivals import due_times
from challenges.load.generator import Target, generate
from challenges.load.observations import LOST, Observations
from tests.challenges.load.scripted_server import OK, Answer, at_once, server


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
    for header, most in (("", 10), ("Connection: close\r\n", 50)):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            accepted: list[socket.socket] = []

            def serve(head: str = header, kept: list[socket.socket] = accepted) -> None:
                with suppress(OSError):
                    while True:
                        kept.append(listening.accept()[0])
                        threading.Thread(target=answer, args=(kept[-1], head)).start()

            threading.Thread(target=serve, daemon=True).start()
            port = listening.getsockname()[1]
            seen = generate(Target(port), due_times("constant", 50, 1), [b"x"])
            assert seen.ok.all()
            assert len(accepted) == 50 if most == 50 else len(accepted) <= most


def answer(connection: socket.socket, header: str) -> None:
    reply = f"HTTP/1.1 200 OK\r\n{header}Content-Length: 2\r\n\r\n{{}}".encode()
    with connection, suppress(OSError):
        while connection.recv(1 << 16):
            connection.sendall(reply)
            if header:
                break
