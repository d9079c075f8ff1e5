"""The generator tells the truth of servers that behave in known ways."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import numpy as np

from challenges.load.arrivals import due_times
from challenges.load.generator import Target, generate
from challenges.load.observations import LOST, Observations
from service.settings import ROOT

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Answer = Callable[[int], Awaitable[bytes | None]]


@contextmanager
def server(answer: Answer) -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers request i with `answer(i)`; None closes the connection.

    Gives its port and the bodies that it received.
    """
    received: list[bytes] = []
    loop = asyncio.new_event_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                received.append(await reader.readexactly(length))
                reply = await answer(len(received) - 1)
                if reply is None:
                    break
                writer.write(reply)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    listening = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield listening.sockets[0].getsockname()[1], received

    async def stop() -> None:
        listening.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    asyncio.run_coroutine_threadsafe(stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def load(answer: Answer, count: int = 50, timeout: float = 5) -> Observations:
    with server(answer) as (port, _):
        due = due_times("constant", 100, count / 100)
        return generate(Target(port), due, [b"x"], timeout)


async def at_once(_: int) -> bytes:
    return OK


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


def test_a_generator_that_is_the_bottleneck_says_so() -> None:
    seen = load(at_once)
    fields = {name: getattr(seen, name) for name in Observations.__slots__}
    slow = Observations(**{**fields, "cpu_share": 0.9})
    assert slow.bottleneck() == "the generator used 90% of a core"
    late = Observations(**{**fields, "sent": seen.due + 0.02})
    assert late.bottleneck() == "the generator sent 1 % of the requests over 20.0 ms late"


def test_command_line() -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "challenges.load", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)

    with server(at_once) as (port, received):
        done = run("--port", str(port), "--seconds", "0.5", "--json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["requests"], found["statuses"]) == (25, {"200": 25})
        assert len(set(received)) == 25
    nobody = run("--port", str(port), "--seconds", "0.1")
    assert nobody.returncode == 1
    assert "none of 5 requests was answered" in nobody.stderr
    assert "Traceback" not in nobody.stderr
    wrong = run("--rate", "-1")
    assert wrong.returncode == 2
    assert "-1 is not between 0 and a million" in wrong.stderr
