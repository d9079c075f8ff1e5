"""What the service promises on a GPU; judged from what was measured."""

from dataclasses import dataclass, field

import numpy as np

from tests.performance.bounds import Verdict
from tests.performance.experiments import Overload
from tests.performance.gpu.contestants import OURS, SEVERAL
from tests.performance.gpu.limits import Limits

REFERENCE_PEAK = 790e12
"""bf16 FLOP/s measured on the H200 that absolute bounds are for; elsewhere they are scaled."""


@dataclass(slots=True)
class Figures:
    """Of one contestant; None where there is no figure."""

    calm_p99_ms: float | None = None
    """At 50/s."""
    saturation: float | None = None
    highest: float | None = None
    """Rate with p99 < 50 ms and no error (Poisson)."""
    overload: Overload | None = None
    faults: list[str] = field(default_factory=list)
    """Why there is no figure."""
    never_ran: bool = False


def best_of_ours(figures: dict[str, Figures]) -> str:
    """Which way of starting this service is judged: all of it by the one with the higher rate."""
    return max((OURS, SEVERAL), key=lambda name: figures.get(name, Figures()).highest or 0)


def judge(limits: Limits, figures: dict[str, Figures]) -> list[Verdict]:
    """Every bound; one without a figure is not kept."""
    ours = figures[best_of_ours(figures)]
    scale = min(1.0, limits.peak_flops / REFERENCE_PEAK)
    over = ours.overload
    peers = [one for name, one in figures.items() if name not in (OURS, SEVERAL)]
    verdicts = [
        Verdict("p99 at 50/s, ms", _number(ours.calm_p99_ms), 12 / scale, True),
        Verdict("highest rate with p99 < 50 ms, images/s", _number(ours.highest), 2000 * scale,
                False),
        Verdict("that rate / limit of decode and forward together",
                _number(ours.highest) / limits.together_per_s, 0.8, False),
        Verdict("MFU in-process, bf16", limits.mfu, 0.45, False),
        Verdict("goodput at 3 × / peak",
                (over.goodput if over else np.nan) / _number(ours.saturation), 0.95, False),
        Verdict("p99 of the accepted at 3 ×, ms", over.accepted_p99_ms if over else np.nan, 50,
                True),
        Verdict("p99 of a refusal at 3 ×, ms", over.refused_p99_ms if over else np.nan, 5, True),
        Verdict("back to normal after 3 ×, s", over.recovery_s if over else np.nan, 2, True),
    ]  # fmt: skip
    if peers:
        # A peer without a figure could be the best one: then there is no verdict in our favour.
        best = max(_number(one.highest) for one in peers)
        known = all(one.highest is not None for one in peers)
        ratio = (_number(ours.highest) / best if best else np.inf) if known else np.nan
        verdicts.append(Verdict("highest rate / best peer's", ratio, 2, False))
    return verdicts


def _number(value: float | None) -> float:
    return np.nan if value is None else value
