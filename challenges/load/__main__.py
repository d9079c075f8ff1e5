"""Load a service from the command line: `python -m challenges.load --port 8000 --rate 50`."""

import argparse
import json
import resource
import sys
from contextlib import suppress
from typing import Any

import numpy as np

from challenges.load.arrivals import due_times
from challenges.load.generator import Target, generate
from challenges.load.images import distinct_images
from challenges.load.observations import LOST, UNSENT, Observations
from service.errors import write_command

PERCENTILES = (50, 90, 99, 99.9)
IMAGES = 128
GENERATOR_FAULT = 3
_NAMES = {LOST: "no answer", UNSENT: "not sent"}


def main() -> None:
    """Send the load and print the figures.

    Exit status 0: all were answered with 200; 1: some were not; 3: the figures say nothing of the
    service, because the generator was at its limits.
    """
    parser = argparse.ArgumentParser(prog=write_command("challenges.load"), description=__doc__)
    parser.add_argument("--port", type=_positive(int), default=8000)
    parser.add_argument("--path", default="/predict", help="where photos are posted to")
    parser.add_argument("--rate", type=_positive(float), default=50.0, help="requests a second")
    parser.add_argument("--seconds", type=_positive(float), default=20.0)
    parser.add_argument("--arrivals", choices=("poisson", "constant"), default="poisson")
    parser.add_argument("--seed", type=int, default=0, help="of the arrivals")
    parser.add_argument("--timeout", type=_positive(float), default=10.0, help="seconds")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    due = due_times(options.arrivals, options.rate, options.seconds, options.seed)
    if not len(due):
        parser.error(f"{options.rate:g}/s for {options.seconds:g} s is not one request")
    _raise_limit_of_open_files()
    print(f"sending {len(due)} photos in {options.seconds:g} s …", file=sys.stderr, flush=True)
    target = Target(options.port, options.path)
    seen = generate(target, due, distinct_images(IMAGES), options.timeout)
    if (seen.status == LOST).all() and not seen.own_fault:
        sys.exit(
            f"error: none of {len(due)} requests was answered on 127.0.0.1 port {options.port}; "
            "is the service running (make serve), and on that port?"
        )
    figures = summary(seen)
    print(json.dumps(figures, indent=1) if options.json else _table(figures))
    if reason := seen.bottleneck():
        raise_limit = ", or raise ulimit -n" if seen.own_fault else ""
        print(
            f"error: these figures are not the service's: {reason}. Lower the rate{raise_limit}",
            file=sys.stderr,
        )
        sys.exit(GENERATOR_FAULT)
    sys.exit(not seen.ok.all())


def summary(seen: Observations) -> dict[str, Any]:
    """Return the figures of one run; latency in ms, of the requests answered with 200."""
    latency = seen.latency_ms[seen.ok]
    return {
        "requests": len(seen.status),
        "statuses": {
            _NAMES.get(status, str(status)): int(count)
            for status, count in zip(*np.unique(seen.status, return_counts=True), strict=True)
        },
        "answered_per_s": round(seen.throughput, 1),
        "latency_ms": {
            f"p{share:g}": round(float(np.percentile(latency, share, method="higher")), 1)
            for share in PERCENTILES
            if len(latency)
        },
        "generator": {
            "late_p99_ms": round(float(np.percentile(seen.lateness_ms, 99)), 2),
            "cpu_share": round(seen.cpu_share, 3),
        },
    }


def _raise_limit_of_open_files() -> None:
    """A connection takes one; many are open at once when a service is slow."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _table(figures: dict[str, Any]) -> str:
    statuses = ", ".join(f"{count} × {status}" for status, count in figures["statuses"].items())
    latency = ", ".join(f"{name} {value} ms" for name, value in figures["latency_ms"].items())
    generator = figures["generator"]
    return "\n".join(
        [
            f"answers    {statuses}; {figures['answered_per_s']} answered with 200 a second",
            f"latency    {latency or 'none'} (from the moment due)",
            f"generator  1 % sent over {generator['late_p99_ms']} ms late, "
            f"{generator['cpu_share']:.0%} of a core",
        ]
    )


def _positive(kind: type) -> Any:
    def convert(text: str) -> Any:
        value = kind(text)
        if not 0 < value < 1e6:
            raise argparse.ArgumentTypeError(f"{text} is not between 0 and a million")
        return value

    convert.__name__ = "number"
    return convert


if __name__ == "__main__":
    main()
