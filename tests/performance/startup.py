"""Time from the process's start to its first answer, and memory, beside a plain service.

Contestants take turns, so that whatever else the machine does meets them all; figures are medians
and their ratio to the plain service's in the same run.
"""

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

import httpx2 as httpx
import psutil

from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.settings import ROOT

MOST_SECONDS, MOST_MEMORY_RATIO = 2.5, 1.5
ROUNDS, REQUESTS, PORT = 7, 70, 8461
_SERVICE = [sys.executable, "-m", "service.inference_service", "--port", str(PORT)]
CONTESTANTS = {
    "plain FastAPI, onnx-fp32": [
        sys.executable, "-m", "uvicorn", "tests.performance.peers.plain_fastapi:app",
        "--port", str(PORT), "--no-access-log",
    ],
    "this service, onnx-fp32": [*_SERVICE, "--engine", "onnx-fp32"],
    "this service, default form": _SERVICE,
}  # fmt: skip


@dataclass
class Figures:
    """What was measured of one contestant, a value a round."""

    ready_s: list[float] = field(default_factory=list)
    memory_mib: list[float] = field(default_factory=list)


def main() -> None:
    """Measure all and print the table."""
    figures = {name: Figures() for name in CONTESTANTS}
    for number in range(ROUNDS):
        for name, command in CONTESTANTS.items():
            print(f"\rround {number + 1}/{ROUNDS}: {name:30}", end="", file=sys.stderr, flush=True)
            _measure(command, figures[name])
    print(file=sys.stderr)
    plain = next(iter(figures.values()))
    print(f"| medians of {ROUNDS} rounds | ready, s | ratio | memory, MiB | ratio |")
    print("|---|---|---|---|---|")
    broken = False
    for name, one in figures.items():
        ready, memory = statistics.median(one.ready_s), statistics.median(one.memory_mib)
        ready_ratio = ready / statistics.median(plain.ready_s)
        memory_ratio = memory / statistics.median(plain.memory_mib)
        broken |= ready > MOST_SECONDS or memory_ratio > MOST_MEMORY_RATIO
        print(f"| {name} | {ready:.2f} | {ready_ratio:.2f} | {memory:.0f} | {memory_ratio:.2f} |")
    bounds = (
        f"ready within {MOST_SECONDS} s, memory within {MOST_MEMORY_RATIO} × the plain service's"
    )
    print(f"\n{bounds}: {'broken' if broken else 'kept'}")
    sys.exit(broken)


def _measure(command: list[str], figures: Figures) -> None:
    url = f"http://127.0.0.1:{PORT}"
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with httpx.Client() as client:
            while not _ready(client, url):
                if process.poll() is not None or time.perf_counter() - started > 60:
                    raise SystemExit(f"does not get ready: {' '.join(command)}")
                time.sleep(0.005)
            figures.ready_s.append(time.perf_counter() - started)
            for number in range(REQUESTS):
                photo = SAMPLE_PHOTOS[number % len(SAMPLE_PHOTOS)]
                client.post(f"{url}/predict", content=photo.read()).raise_for_status()
            figures.memory_mib.append(psutil.Process(process.pid).memory_info().rss / 2**20)
    finally:
        process.kill()
        process.wait()


def _ready(client: httpx.Client, url: str) -> bool:
    try:  # ours, and the plain one's
        return 200 in (client.get(url + path).status_code for path in ("/readyz", "/ready"))
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main()
