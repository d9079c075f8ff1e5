"""Instances, balancers and load for the faults, and the table of what became of the requests."""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np

from challenges.load.client import ask
from challenges.load.generator import Target
from challenges.load.images import distinct_images
from challenges.load.observations import LOST, Observations
from service.settings import ROOT
from tests.conftest import ServiceProcess, start_process
from tests.performance.traffic import Traffic
from tests.service.web.test_foreign_clients import find, free_port, run_balancer

PHOTOS = 32
TOLERANCE = 1e-3
"""Largest difference of a probability to the recorded one: batches are rounded differently."""
LAG_S = 5.0
"""How long the list of the lagging balancer stays as it is, in seconds."""


@dataclass
class Row:
    """What became of the requests that were sent while a fault was there."""

    fault: str
    injected: str
    """What was done, and how often."""
    sent: int = 0
    right: int = 0
    refused: int = 0
    """503: it may be sent again."""
    failed: int = 0
    """Another status than 200 and 503."""
    lost: int = 0
    wrong: int = 0
    """200 with another answer than the recorded one."""
    p99_ms: float = float("nan")
    """99th percentile of the right answers."""
    peak_mib: float = 0.0
    """Largest resident memory of a process."""
    broken: list[str] = field(default_factory=list)
    """Promises that did not hold."""

    def count(self, seen: Observations, recorded: "Recorded") -> "Row":
        """Add a run."""
        wrong = int(seen.wrong(recorded.is_right))
        ok = int(seen.ok.sum())
        self.sent += len(seen.status)
        self.wrong += wrong
        self.right += ok - wrong
        self.refused += int((seen.status == 503).sum())
        self.lost += int((seen.status == LOST).sum())
        self.broken += [
            f"lost: sent at {seen.sent[number]:.2f} s, ended after "
            f"{seen.done[number] - seen.sent[number]:.2f} s"
            for number in np.flatnonzero(seen.status == LOST)[:3]
        ]
        self.failed = self.sent - self.right - self.wrong - self.refused - self.lost
        if ok:
            self.p99_ms = float(np.percentile(seen.latency_ms[seen.ok], 99, method="higher"))
        if seen.own_fault:
            self.broken.append(f"the generator: {seen.own_fault}")
        return self

    def expect(self, holds: bool, promise: str) -> "Row":
        """Note a promise that does not hold."""
        if not holds:
            self.broken.append(promise)
        return self

    def expect_none_lost(self) -> "Row":
        """Expect no request lost and no wrong answer, and that most were answered."""
        self.expect(self.lost == 0, f"{self.lost} lost")
        self.expect(self.wrong == 0, f"{self.wrong} wrong")
        return self.expect(self.right > 0, "no right answer")


class Recorded:
    """The answers of a calm instance, which those under faults are compared with."""

    def __init__(self, url: str, bodies: Sequence[bytes]) -> None:
        self._answers = []
        for body in bodies:
            answer = httpx.post(f"{url}/predict", content=body, timeout=60)
            assert answer.status_code == 200, answer.text
            self._answers.append(_read_probabilities(answer.content))

    def is_right(self, number: int, body: bytes) -> bool:
        """Whether the answer to request `number` is the recorded one."""
        expected = self._answers[number % len(self._answers)]
        try:
            found = _read_probabilities(body)
        except (ValueError, KeyError, TypeError):
            return False
        return all(abs(found.get(key, 0.0) - value) < TOLERANCE for key, value in expected.items())


def _read_probabilities(body: bytes) -> dict[int, float]:
    predictions = json.loads(body)["predictions"]
    return {one["class_id"]: one["probability"] for one in predictions[:3]}


class Bench:
    """Starts instances, sends load, and ends what was started."""

    def __init__(self, folder: Path, rate: float) -> None:
        self.folder = folder
        self.rate = rate
        self.bodies = distinct_images(PHOTOS)
        self.traffic = Traffic(self.bodies)
        self.pool = ThreadPoolExecutor(8)
        self.peaks: dict[int, float] = {}
        self._started: list[ServiceProcess] = []
        calm = self.start()
        self.recorded = Recorded(calm.url, self.bodies)
        self.stop(calm)

    def start(
        self, *arguments: str, fault: str = "", port: int = 0, wrapper: Sequence[str] = (),
        environment: dict[str, str] | None = None,
    ) -> ServiceProcess:  # fmt: skip
        """Start an instance; wait until it is ready."""
        log = self.folder / f"instance-{len(self._started)}.log"
        options = ["--no-access-log", *(("--port", str(port)) if port else ()), *arguments]
        variables = {**os.environ, **(environment or {})}
        if fault:
            command = [sys.executable, "-m", "tests.faults.faulty_service", "--port", "0", *options]
            with log.open("w") as file:
                process = subprocess.Popen(
                    [*wrapper, *command], cwd=ROOT, stdout=file, stderr=file, text=True,
                    env={**variables, "FAULT": fault},
                )  # fmt: skip
            service = ServiceProcess(process, log)
        else:
            service = start_process(log, *options, wrapper=wrapper, environment=environment)
        self._started.append(service)
        service.wait_for(" ready ")
        return service

    def stop(self, service: ServiceProcess) -> None:
        """Kill an instance."""
        self.note_memory(service)
        service.process.kill()
        service.process.wait()

    def note_memory(self, service: ServiceProcess) -> float:
        """Return the largest resident memory of an instance so far, in MiB."""
        with suppress(OSError):
            status = Path(f"/proc/{service.process.pid}/status").read_text()
            if found := re.search(r"VmHWM:\s+(\d+)", status):
                self.peaks[service.process.pid] = int(found[1]) / 1024
        return self.peaks.get(service.process.pid, 0.0)

    def send(self, port: int, seconds: float, **options: Any) -> "Future[Observations]":
        """Send photos at the bench's rate, in another process; options: `headers`, `rate`."""
        headers = {"Content-Type": "image/jpeg", **options.pop("headers", {})}
        rate = options.pop("rate", self.rate)
        target = Target(port, headers=headers)
        return self.pool.submit(partial(self.traffic.send, target, rate, seconds, **options))

    def close(self) -> None:
        """End all."""
        for service in self._started:
            service.process.kill()
            service.process.wait()
        self.traffic.close()
        self.pool.shutdown(cancel_futures=True)


@contextmanager
def open_bench(folder: Path, rate: float) -> Iterator[Bench]:
    """Give a bench, and end what it started."""
    bench = Bench(folder, rate)
    try:
        yield bench
    finally:
        bench.close()


def port_of(service: ServiceProcess) -> int:
    return int(service.url.rpartition(":")[2])


@contextmanager
def balance_with_retries(folder: Path, ports: list[int], patience_s: int = 20) -> Iterator[int]:
    """Give the port of haproxy, which sends a request again to the other instance if one fails.

    Or if it has not answered after `patience_s` seconds.
    """
    port = free_port()
    names = [f"server s{each} 127.0.0.1:{each} check inter 200 fall 2 rise 1" for each in ports]
    (folder / "haproxy.cfg").write_text(
        "global\n tune.bufsize 1048576\n maxconn 200\n"
        "defaults\n mode http\n timeout connect 1s\n timeout client 60s\n"
        f" timeout server {patience_s}s\n"
        " timeout check 5s\n http-reuse safe\n option httpchk GET /readyz\n retries 3\n"
        " option redispatch 1\n option http-buffer-request\n"
        " retry-on conn-failure empty-response junk-response response-timeout 503\n"
        f"listen photos\n bind 127.0.0.1:{port}\n " + "\n ".join(names) + "\n"
    )
    command = [find("haproxy", "haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]
    with run_balancer(command, folder, port):
        yield port


@contextmanager
def balance_with_lag(ports: list[int]) -> Iterator[int]:
    """Give the port of a balancer of connections, whose list of instances is seconds old."""
    loop = asyncio.new_event_loop()
    turn = 0

    def find_ready() -> list[int]:
        def is_ready(port: int) -> bool:
            with suppress(OSError):
                return ask(port).status == 200
            return False

        return [port for port in ports if is_ready(port)]

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal turn
        turn += 1
        try:
            there = await asyncio.open_connection("127.0.0.1", ready[turn % len(ready)])
        except OSError:
            writer.close()  # it does not try another one
            return
        await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))

    async def renew() -> None:
        while True:
            await asyncio.sleep(LAG_S)
            ready[:] = await asyncio.to_thread(find_ready) or ready

    ready = find_ready()
    listening = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    renewing = loop.create_task(renew())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(renewing.cancel)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


Fault = Callable[[Bench, bool], Row | list[Row]]
"""Injects one fault, in its full form or in a short one."""


def write_report(rows: list[Row], folder: Path, machine: str) -> None:
    """Write the table as Markdown and JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "faults.json").write_text(
        json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=1) + "\n"
    )
    head = ("fault", "injected", "sent", "right", "refused", "failed", "lost", "wrong",
            "p99 (right), ms", "peak memory, MiB", "broken promises")  # fmt: skip
    lines = [f"# Faults\n\n{machine}\n", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        p99 = f"{row.p99_ms:.0f}" if np.isfinite(row.p99_ms) else ""
        cells = (row.fault, row.injected, row.sent, row.right, row.refused, row.failed, row.lost,
                 row.wrong, p99, f"{row.peak_mib:.0f}" if row.peak_mib else "",
                 "; ".join(row.broken) or "none")  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    (folder / "faults.md").write_text("\n".join(lines) + "\n")


def describe_machine() -> str:
    load = os.getloadavg()
    return (
        f"{time.strftime('%Y-%m-%d %H:%M')}, {len(os.sched_getaffinity(0))} cores, load average "
        f"{load[0]:.1f} (1 min) {load[2]:.1f} (15 min)"
    )
