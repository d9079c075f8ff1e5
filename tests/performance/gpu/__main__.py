"""Benchmark the service on a GPU: `python -m tests.performance.gpu` (make bench-gpu).

It measures the limits without a server, then the service and its peers under open-loop load with
real photos, and judges each bound. `--device cpu --architecture small-vit` runs all of it for a
short time without a GPU: that tests the code, and its figures mean nothing.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from challenges.load.images import distinct_images
from service.artifact.manifest import Manifest
from service.errors import OperatorError
from service.gpu import engine as device_program
from service.machine import available_cores
from service.preprocessing import preprocess
from tests.performance.experiments import NoFigureError, Server, highest_rate, overload, saturation
from tests.performance.gpu import limits as limit
from tests.performance.gpu.contestants import OURS, SEVERAL, RightAnswers, contestants, visit
from tests.performance.gpu.limits import Limits
from tests.performance.gpu.models import FORM, SMALL, build_bundle
from tests.performance.gpu.traffic import ManyTraffic
from tests.performance.gpu.verdicts import Figures, choose_ours, judge
from tests.performance.peers import Peer

IMAGES, CALM_RATE = 128, 50.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Durations of the measurements, in seconds."""

    limit_s: float
    calm_s: float
    search_s: float
    overload_s: float
    matrix: int
    """Side of the matrices that measure the peak."""


FULL, SHORT = Plan(5, 20, 5, 30, 8192), Plan(1, 2, 1, 2, 1024)


def main() -> None:
    """Measure, print and judge; exits with 0 if every bound is kept."""
    options = _options()
    if options.device == "cuda":
        from service.gpu.diagnosis import find_obstacle, read_gpu_facts

        if obstacle := find_obstacle(read_gpu_facts()):
            sys.exit(
                f"error: no GPU to measure on: {obstacle}. The path without one: "
                "python -m tests.performance.gpu --device cpu --architecture small-vit"
            )
    plan = SHORT if options.device == "cpu" else FULL
    try:
        bundle = build_bundle(options.architecture, options.device, options.weights, options.labels)
    except OperatorError as error:
        sys.exit(f"error: {error}")
    photos = distinct_images(IMAGES)
    limits, right = _measure_limits(bundle, options.device, photos, plan)
    _print_limits(limits)
    decode = options.decode
    if decode == "auto":
        decode = "gpu" if limits.device_decode_per_s > limits.decode_per_s else "cpu"
    front_ends = options.front_ends or max(2, available_cores() // 3)
    entries = contestants(bundle, options.device, decode, front_ends)
    traffic = ManyTraffic(photos, 1 if options.device == "cpu" else max(1, available_cores() // 4))
    figures = {}
    try:
        for name, peer in entries.items():
            if name in (OURS, SEVERAL) or name in options.peers:
                _say(f"{name} ({peer.settings})")
                figures[name] = _measure(name, peer, traffic, photos, right, limits, plan)
                _say(f"{name}: {asdict(figures[name])}")
    finally:
        traffic.close()
    best = choose_ours(figures)
    _say(f"judged: {best}")
    verdicts = judge(limits, figures)
    for verdict in verdicts:
        sign, kept = "≤" if verdict.at_most else "≥", "kept" if verdict.kept else "NOT KEPT"
        _say(f"{kept:9} {verdict.what}: {verdict.measured:.3g} (bound {sign} {verdict.bound:.3g})")
    if options.device == "cpu":
        _say("measured on a CPU with a small model: the path works, the bounds are a GPU's")
        sys.exit(any(one.never_ran for one in figures.values()))
    sys.exit(not all(verdict.kept for verdict in verdicts))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.performance.gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--architecture", default="vit_l_16",
                        help=f"of torchvision, lite0, or {SMALL}")  # fmt: skip
    parser.add_argument("--weights", default="seeded:0", help="safetensors, or seeded:NUMBER")
    parser.add_argument("--labels", type=Path, help="text, a label a line (not for seeded ones)")
    parser.add_argument("--decode", choices=("cpu", "gpu", "auto"), default="auto",
                        help="of JPEG files; auto takes the faster one")  # fmt: skip
    parser.add_argument("--front-ends", type=int,
                        help="in this service's second run (one for each 3 cores)")  # fmt: skip
    parser.add_argument("--peers", nargs="*", choices=("litserve", "plain_fastapi"),
                        default=["litserve", "plain_fastapi"])  # fmt: skip
    return parser.parse_args()


def _measure_limits(
    bundle: Path, device: str, photos: list[bytes], plan: Plan
) -> tuple[Limits, RightAnswers]:
    manifest = Manifest.model_validate_json((bundle / "manifest.json").read_bytes())
    settings, program = manifest.preprocessing, bundle / manifest.forms[FORM].file
    parity = manifest.forms[FORM].parity
    _say(
        f"{manifest.name}: {parity.top1_agreement:.2%} of {parity.crops} crops as fp32 "
        f"({parity.top1_agreement_sure:.2%} of {parity.sure_crops} sure ones), largest logit "
        f"difference {parity.largest_logit_difference or np.nan:.3g} (the logits spread by "
        f"{parity.logit_spread or np.nan:.3g}), measured on {parity.device}"
    )
    engine = device_program.load(program, device, available_cores() if device == "cpu" else 1)
    _say(f"{engine.runtime} on {engine.devices} × {engine.device}")
    pixels = np.stack([preprocess(photo, settings) for photo in photos])
    right = RightAnswers(engine(pixels))
    costs = limit.batch_costs(engine, pixels)
    best = min(costs, key=lambda size: costs[size] / size)
    first = engine.torch_names[0]
    decode_rate, difference = limit.device_decode_per_s(photos, settings, first, plan.limit_s)
    return (
        Limits(
            peak_flops=limit.peak_flops(first, plan.matrix, plan.limit_s) * engine.devices,
            flops_per_image=limit.flops_per_image(program),
            costs_ms=costs,
            best_batch=best,
            forward_per_s=limit.forward_per_s(engine, pixels[:best], plan.limit_s),
            decode_per_s=limit.decode_per_s(photos, settings, plan.limit_s),
            device_decode_per_s=decode_rate,
            device_decode_difference=difference,
            together_per_s=limit.together_per_s(engine, photos, settings, best, plan.limit_s),
        ),
        right,
    )


def _print_limits(limits: Limits) -> None:
    for size, cost in limits.costs_ms.items():
        _say(f"batch {size:>3}: {cost:8.2f} ms, {1000 * size / cost:8.0f} images/s")
    mean, largest = limits.device_decode_difference
    _say(
        f"peak bf16 {limits.peak_flops / 1e12:.1f} TFLOP/s, an image "
        f"{limits.flops_per_image / 1e9:.1f} GFLOP; forward passes at batch {limits.best_batch}: "
        f"{limits.forward_per_s:.0f} images/s, MFU {limits.mfu:.1%}"
    )
    _say(
        f"decoding by {available_cores()} cores {limits.decode_per_s:.0f}/s, on the device "
        f"{limits.device_decode_per_s:.0f}/s (its pixels differ by {mean:.2f} on average in the "
        f"worst photo, {largest} at most); both together {limits.together_per_s:.0f}/s"
    )


def _measure(
    name: str,
    peer: Peer,
    traffic: ManyTraffic,
    photos: list[bytes],
    right: RightAnswers,
    limits: Limits,
    plan: Plan,
) -> Figures:
    figures = Figures()
    with visit(peer, traffic, photos, right) as server:
        if isinstance(server, str):
            figures.faults.append(server)
            figures.never_ran = True
            return figures
        _experiments(figures, server, limits, plan, name in (OURS, SEVERAL))
    return figures


def _experiments(figures: Figures, server: Server, limits: Limits, plan: Plan, ours: bool) -> None:
    most = min(limits.together_per_s, limits.forward_per_s)
    with _note_faults(figures):
        calm = server.load(CALM_RATE, plan.calm_s, "constant")
        figures.calm_p99_ms = calm.percentile(99)
    with _note_faults(figures):
        figures.saturation = saturation(server, 1.05 * most, plan.search_s)
    with _note_faults(figures):
        server.load(CALM_RATE, 2, "constant")  # let the requests of the saturation finish
        figures.highest = highest_rate(server, 1.1 * most, plan.search_s, "poisson")
    if ours and figures.saturation:
        with _note_faults(figures):
            figures.overload = overload(server, figures.saturation, plan.overload_s, 4)


@contextmanager
def _note_faults(figures: Figures) -> Iterator[None]:
    """Note why an experiment gave no figure, and let the others run."""
    try:
        yield
    except NoFigureError as fault:
        figures.faults.append(str(fault))


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
