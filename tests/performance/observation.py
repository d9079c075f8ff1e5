"""What log and traces cost at saturation: CPU time of a request, in turns within one run.

    .venv/bin/python -m tests.performance.observation --rounds 30

CPU time, not answers per second, because other programs on the machine disturb it less. The metrics
are in every variant: they cannot be switched off. The exit status is 1 if three of four rounds are
over a bound; on a busy machine single rounds differ by some percent.
"""

import argparse
import http.client
import os
import re
import signal
import statistics
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil

from service.artifact.sample_photos import SAMPLE_PHOTOS
from tests.conftest import ServiceProcess, start_process

CLIENTS = 4
SAMPLED = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}
BOUNDS = {"text log": 1.02, "JSON log": 1.02, "text log, 1% traces": 1.03}
"""Largest ratio to the service without log and traces."""


class Collector(BaseHTTPRequestHandler):
    """Takes traces, and forgets them."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def post_for(url: str, photo: bytes, seconds: float) -> int:
    """Send a photo from `CLIENTS` threads, one after another; returns the number of answers."""
    answered = [0] * CLIENTS
    end = time.monotonic() + seconds

    def post(number: int) -> None:
        client = http.client.HTTPConnection(url.removeprefix("http://"))
        while time.monotonic() < end:
            client.request("POST", "/predict", photo, {"X-Deadline-Ms": "60000"})
            answer = client.getresponse()
            answer.read()
            assert answer.status == 200
            answered[number] += 1

    threads = [threading.Thread(target=post, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(answered)


def measure(service: ServiceProcess, photo: bytes, seconds: float) -> float:
    """Return the CPU milliseconds of a request."""
    process = psutil.Process(service.process.pid)
    before = sum(process.cpu_times()[:2])
    (url,) = re.findall(r"http://[\d.]+:\d+", service.wait_for("ready  "))  # in either format
    answered = post_for(url, photo, seconds)
    return float(sum(process.cpu_times()[:2]) - before) / answered * 1000


def main() -> int:
    """Measure, print the ratios; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance.observation")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each variant in a round")
    options = parser.parse_args()
    photo = SAMPLE_PHOTOS[0].read()
    collector = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    arguments = {
        "nothing": ["--no-access-log"],
        "text log": [],
        "JSON log": ["--log-format", "json"],
        "text log, 1% traces": ["--trace-endpoint", endpoint],
    }
    with tempfile.TemporaryDirectory() as folder:
        services = {
            name: start_process(  # with one plan: the warm-up would measure one for each
                Path(folder) / f"{number}",
                "--threads",
                "1",
                *more,
                environment={**os.environ, **SAMPLED},
            )
            for number, (name, more) in enumerate(arguments.items())
        }
        try:
            costs: dict[str, list[float]] = {name: [] for name in services}
            for turn in range(-1, options.rounds):
                for name in (*list(services)[turn % 4 :], *list(services)[: turn % 4]):
                    cost = measure(services[name], photo, options.seconds)
                    if turn >= 0:  # the first round warms up
                        costs[name].append(cost)
                print(f"\r{turn + 1} of {options.rounds}", end="", file=sys.stderr, flush=True)
        finally:
            for service in services.values():
                service.stop(signal.SIGTERM)
    print(file=sys.stderr)
    status = 0
    for name, bound in BOUNDS.items():
        ratios = [cost / base for cost, base in zip(costs[name], costs["nothing"], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(
            f"{name}: {statistics.median(costs[name]):.2f} ms of CPU time a request, "
            f"{middle:.3f} of that without (quartiles {low:.3f} to {high:.3f}, "
            f"{len(ratios)} rounds); bound {bound}"
        )
        status = status or int(low > bound)
    return status


if __name__ == "__main__":
    sys.exit(main())
