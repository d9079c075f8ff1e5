"""The benchmark: `python -m tests.performance [--quick] [--only NAME …] [--output FOLDER]`.

Limit, this service and its peers in turns, several rounds, so that what the machine's other
tenants do hits all alike; then the search for the highest rate, overload, and how cost grows.
"""

import argparse
import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from challenges.load.images import distinct_images
from service.artifact.manifest import Manifest
from service.settings import DEFAULT_ARTIFACT, ROOT
from tests.performance import bounds, growth, report
from tests.performance.contestants import FP32, OURS, OURS_DEFAULT, Contestants, Visit
from tests.performance.experiments import (
    Highest,
    NoFigureError,
    highest_rate,
    overload,
    saturation,
)
from tests.performance.growth import with_rate
from tests.performance.limit import gemm_gflops, lone_ms, measure_limit, memory_gb_per_s
from tests.performance.peers import PEERS
from tests.performance.traffic import Traffic

IMAGES, CALM_RATE = 128, 50.0


@dataclass
class Plan:
    """How long everything takes."""

    rounds: int = 2
    calm_s: float = 10
    saturation_s: float = 5
    limit_s: float = 4
    search_s: float = 5
    overload_s: float = 30
    peers_overload_s: float = 10
    after_s: float = 8


QUICK = Plan(1, 5, 3, 2, 3, 10, 5, 4)


@dataclass
class Figures:
    """What was measured of one contestant, a value a round."""

    form: str
    ready_s: list[float] = field(default_factory=list)
    memory_mib: list[float] = field(default_factory=list)
    calm_ms: list[list[float]] = field(default_factory=list)
    """p50, p90, p99, p99.9 at 50/s."""
    latencies_ms: list[float] = field(default_factory=list)
    """Latency of every request at 50/s, all rounds together."""
    saturation: list[float] = field(default_factory=list)
    limit: list[float] = field(default_factory=list)
    """Images a second without a server, measured right before."""
    highest_constant: float | None = None
    highest_poisson: float | None = None
    overload: dict[str, float] | None = None
    queue_ms: list[float] = field(default_factory=list)
    """At 50/s, as our own answers say; the peers' do not."""
    curve: list[dict[str, float]] | None = None
    """Latency by rate."""
    fault: str | None = None


def main() -> None:
    """Measure, write the tables and plots, judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: a rough picture")
    parser.add_argument("--only", nargs="*", help="peers to compare with (default: all)")
    parser.add_argument("--output", type=Path, default=ROOT / "reports" / "benchmark")
    options = parser.parse_args()
    peers = list(PEERS) if options.only is None else options.only
    if unknown := set(peers) - set(PEERS):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    plan = QUICK if options.quick else Plan()
    default = Manifest.model_validate_json(
        (DEFAULT_ARTIFACT / "manifest.json").read_bytes()
    ).default_form
    photos = distinct_images(IMAGES)
    everyone = Contestants(photos, {OURS: FP32, OURS_DEFAULT: default}, peers)
    traffic = Traffic(photos)
    started = time.monotonic()
    try:
        results = measure(everyone, traffic, plan)
        _say("how cost grows")
        results["growth"] = growth.measure()
    finally:
        traffic.close()
    results["minutes"] = (time.monotonic() - started) / 60
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "results.json").write_text(json.dumps(results, indent=1))
    report.write(results, options.output)
    verdicts = bounds.judge(results)
    print((options.output / "report.md").read_text())
    sys.exit(not all(verdict.kept for verdict in verdicts))


def measure(everyone: Contestants, traffic: Traffic, plan: Plan) -> dict[str, Any]:
    """All contestants, in turns."""
    _say("the machine's own rates, and one photo at a time without a server")
    machine = {"gemm_gflops": gemm_gflops(), "memory_gb_per_s": memory_gb_per_s()}
    in_process: dict[str, list[float]] = {}
    limits: dict[str, list[float]] = {}
    figures: dict[str, Figures] = {}
    for number in range(plan.rounds):
        for form in dict.fromkeys(everyone.forms.values()):
            lone = lone_ms(DEFAULT_ARTIFACT, form, everyone.photos)
            in_process.setdefault(form, []).extend(lone.tolist())
        for name in everyone.names():
            _say(f"round {number + 1}/{plan.rounds}: {name}")
            form = everyone.form(name)
            one = figures.setdefault(name, Figures(form))
            limit = _limit(everyone.photos, form, plan.limit_s)
            limits.setdefault(form, []).append(limit)
            with everyone.visit(name, traffic) as visit:
                if visit is not None:
                    one.limit.append(limit)
                    _visit(one, visit, limit, number, plan)
    return {
        "machine": machine,
        "in_process_ms": in_process,
        "limit": {form: statistics.median(values) for form, values in limits.items()},
        "skipped": everyone.skipped,
        "contestants": {
            name: vars(one) for name, one in figures.items() if name not in everyone.skipped
        },
    }


def _visit(one: Figures, visit: Visit, limit: float, number: int, plan: Plan) -> None:
    """The experiments of one round; the long ones only in the first."""
    server = visit.server
    one.ready_s.append(visit.ready_s)
    one.memory_mib.append(visit.memory_mib())
    try:
        calm = server.load(CALM_RATE, plan.calm_s, "constant", seed=number)
        one.calm_ms.append([calm.percentile(share) for share in (50, 90, 99, 99.9)])
        one.latencies_ms.extend(np.where(calm.ok, calm.latency_ms, np.inf).tolist())
        if server.name in (OURS, OURS_DEFAULT):
            answers = (body for body, ok in zip(calm.bodies, calm.ok, strict=True) if ok)
            one.queue_ms += [json.loads(body)["timing_ms"]["queue"] for body in answers]
        one.saturation.append(saturation(server, 1.05 * limit, plan.saturation_s))
        if number > 0:
            return
        server.load(CALM_RATE, 3, "constant")  # what the saturation left behind
        one.highest_constant = highest_rate(server, 1.1 * limit, plan.search_s, "constant")
        one.highest_poisson = highest_rate(server, 1.1 * limit, plan.search_s, "poisson")
        ours = server.name in (OURS, OURS_DEFAULT)
        seconds = plan.overload_s if ours else plan.peers_overload_s
        with Highest(visit.memory_mib) as memory:
            over = overload(server, one.saturation[0], seconds, plan.after_s)
        one.overload = {name: getattr(over, name) for name in over.__slots__}
        one.overload["grown_mib"] = memory.highest - memory.first
        if ours:
            one.curve = with_rate(server, limit, plan.search_s)
    except NoFigureError as fault:
        one.fault = str(fault)
        _say(f"{server.name}: no figure, {fault}")


def _limit(photos: list[bytes], form: str, seconds: float) -> float:
    return max(
        measure_limit(DEFAULT_ARTIFACT, form, photos, seconds, batch).images_per_s
        for batch in (1, 4)
    )


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
