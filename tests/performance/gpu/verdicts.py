"""Judge what the service promises on a GPU from what was measured."""

from dataclasses import dataclass, field

import numpy as np

from tests.performance.bounds import Verdict
from tests.performance.experiments import Overload
from tests.performance.gpu.contestants import OURS, SEVERAL
from tests.performance.gpu.limits import Limits

REFERENCE_PEAK = 790e12
"""Measured bf16 FLOP/s of the H200 for which absolute bounds hold; they scale with the peak."""


@dataclass(slots=True)
class Figures:
    """The figures of one contestant; None where there is no figure."""

    calm_p99_ms: float | None = None
    """p99 at 50 requests a second."""
    saturation: float | None = None
    highest: float | None = None
    """Highest rate with p99 < 50 ms and no error (Poisson)."""
    overload: Overload | None = None
    faults: list[str] = field(default_factory=list)
    """Reasons for missing figures."""
    never_ran: bool = False


def choose_ours(figures: dict[str, Figures]) -> str:
    """Return the way of starting this service that reached the higher rate: it is judged."""
    return max((OURS, SEVERAL), key=lambda name: figures.get(name, Figures()).highest or 0)


def judge(limits: Limits, figures: dict[str, Figures]) -> list[Verdict]:
    """Judge every bound; one without a figure is not kept."""
    ours = figures[choose_ours(figures)]
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
        # A peer without a figure could be the best one: then the bound is not kept.
        best = max(_number(one.highest) for one in peers)
        known = all(one.highest is not None for one in peers)
        ratio = (_number(ours.highest) / best if best else np.inf) if known else np.nan
        verdicts.append(Verdict("highest rate / best peer's", ratio, 2, False))
    return verdicts


def _number(value: float | None) -> float:
    return np.nan if value is None else value
