"""From one machine to many: measure this one, and print what a given load costs.

The command loads the model, keeps its runner busy for some seconds, and derives the rest.
"""

import argparse
import asyncio
import io
import math
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import PIL.Image

from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.errors import OperatorError, write_command
from service.loaded_model import LoadedModel
from service.machine import available_cores
from service.settings import DEFAULT_ARTIFACT, Settings
from service.startup import load_model
from service.web.responses import predict_response

BUSY = 0.6
"""Share of its saturation that a machine is loaded with: above it, random arrivals wait for long
(M/M/2 holds 2 r / (1 - r^2) requests: 1.9 at 0.6, 9.5 at 0.9)."""
ZONES = 3
RATES = (100, 1_000, 10_000, 100_000, 1_000_000)
"""Requests a second in the table."""
DOLLARS_A_CORE_HOUR = 0.04
"""An assumption, in the order of clouds' list prices on demand in 2026; set your own: --price."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One machine, under as much load as it can answer."""

    rate: float
    """Answers a second at saturation."""
    cores: int
    request_bytes: float
    """Mean size of a photo."""
    answer_bytes: float
    """Mean size of an answer's JSON, without headers."""
    bundle_bytes: int
    """What a new machine has to fetch of the model."""
    start_s: float
    """Seconds from the first check to the end of the replay."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The machines that a load needs."""

    rate: float
    machines: int
    """In all zones; without any one of them, the others are loaded with at most `BUSY`."""
    busy: float
    """Share of saturation while no zone is lost."""
    dollars_a_million: float
    """Cost of a million predictions if the load is always `rate`."""
    in_bits: float
    """Bits a second that come in."""


def plan(measured: Measured, rate: float, price: float, zones: int = ZONES) -> Fleet:
    """Return the smallest fleet that carries `rate` requests a second without one of its zones.

    Args:
        measured: one machine.
        rate: requests a second.
        price: dollars of a core for an hour.
        zones: parts that fail by themselves, at least 2; machines are spread evenly.
    """
    in_zone = math.ceil(rate / (measured.rate * BUSY) / (zones - 1))
    machines = in_zone * zones
    dollars_an_hour = machines * measured.cores * price
    return Fleet(
        rate=rate,
        machines=machines,
        busy=rate / (machines * measured.rate),
        dollars_a_million=dollars_an_hour / (rate * 3600) * 1e6,
        in_bits=rate * measured.request_bytes * 8,
    )


def measure(model: LoadedModel, settings: Settings, seconds: float) -> Measured:
    """Keep a model's runner busy with the sample photos, and count its answers.

    HTTP is not in it: `make bench` measures what it costs.
    """
    photos = [_to_jpeg(photo.path) for photo in SAMPLE_PHOTOS]
    sizes: list[int] = []
    workers = 4 * model.runner.layout.workers

    async def ask(first: int, end: float) -> None:
        number = first
        while time.perf_counter() < end:
            inference = await model.runner.classify(photos[number % len(photos)], 60.0)
            sizes.append(len(bytes(predict_response(model.manifest, inference, 5).body)))
            number += 1

    async def ask_all() -> float:
        began = time.perf_counter()
        await asyncio.gather(*(ask(first, began + seconds) for first in range(workers)))
        return time.perf_counter() - began

    took = asyncio.run(ask_all())
    return Measured(
        rate=len(sizes) / took,
        cores=available_cores(settings.cores),
        request_bytes=statistics.mean(map(len, photos)),
        answer_bytes=statistics.mean(sizes),
        bundle_bytes=model.bundle.size,
        start_s=sum(step.ms for step in model.steps) / 1000,
    )


def _to_jpeg(path: Path) -> bytes:
    """Return a picture as clients send it: some of the samples are stored as PNG."""
    file = io.BytesIO()
    with PIL.Image.open(path) as image:
        image.convert("RGB").save(file, "JPEG", quality=90)
    return file.getvalue()


def describe(measured: Measured, price: float) -> str:
    """Return the table, as Markdown."""
    lines = [
        f"One machine of {measured.cores} cores: {measured.rate:.0f} answers a second at "
        f"saturation, loaded with {BUSY:.0%} of it. A photo has {measured.request_bytes / 1e3:.0f} "
        f"kB, an answer {measured.answer_bytes:.0f} bytes, the bundle "
        f"{measured.bundle_bytes / 1e6:.0f} MB; checks and warm-up take {measured.start_s:.1f} s.",
        f"{ZONES} zones, one of which may be lost; {price:g} dollars a core and hour.",
        "",
        "| requests a second | machines | busy, all zones | dollars a million | photos come in |",
        "|---|---|---|---|---|",
    ]
    for rate in RATES:
        fleet = plan(measured, rate, price)
        lines.append(
            f"| {rate:,} | {fleet.machines:,} | {fleet.busy:.0%} | {fleet.dollars_a_million:.2f} | "
            f"{fleet.in_bits / 1e9:,.2f} Gbit/s |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog=write_command("service.scale.arithmetic"), description=__doc__
    )
    parser.add_argument(
        "--artifact", type=Path, default=DEFAULT_ARTIFACT, help="folder of a bundle"
    )
    parser.add_argument("--seconds", type=float, default=5, help="time of the measurement (5)")
    parser.add_argument(
        "--price", type=float, default=DOLLARS_A_CORE_HOUR,
        help=f"dollars of a core for an hour ({DOLLARS_A_CORE_HOUR})",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if options.seconds <= 0 or options.price <= 0:
        parser.error("--seconds and --price must be more than 0")
    settings = Settings(artifact=options.artifact, device="cpu")
    try:
        print("loading the model, then measuring", file=sys.stderr)
        model = load_model(settings)
    except OperatorError as error:
        sys.exit(f"error: {error}")
    try:
        print(describe(measure(model, settings, options.seconds), options.price))
    finally:
        model.close()


if __name__ == "__main__":
    main()
