"""What this service promises, as ratios within one run; judged from its results."""

from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from tests.performance.contestants import OURS, OURS_DEFAULT


@dataclass(frozen=True, slots=True)
class Verdict:
    """One bound."""

    what: str
    measured: float
    bound: float
    at_most: bool
    """Or at least."""

    @property
    def kept(self) -> bool:
        """Whether the measured value keeps it; what could not be measured does not."""
        return self.measured <= self.bound if self.at_most else self.measured >= self.bound


def judge(results: dict[str, Any]) -> list[Verdict]:
    """Every bound that this run has figures for."""
    everyone = results["contestants"]
    verdicts = []
    for name, share in ((OURS, 0.95), (OURS_DEFAULT, 0.90)):
        if name in everyone:
            verdicts += _alone(name, everyone[name], results, share)
    peers = {name: one for name, one in everyone.items() if name not in (OURS, OURS_DEFAULT)}
    for name, rate, calm in ((OURS, 1.2, 1.0), (OURS_DEFAULT, 1.7, 0.65)):
        if name in everyone and peers:
            verdicts += _beside(name, everyone[name], peers, rate, calm)
    return verdicts


def _alone(name: str, one: dict[str, Any], results: dict[str, Any], share: float) -> list[Verdict]:
    in_process = results["in_process_ms"][one["form"]]
    calm = one["latencies_ms"]
    found = [
        Verdict(f"{name}: saturation / limit", saturation_share(one), share, False),
        Verdict(
            f"{name}: median at 50/s less in-process, ms",
            _percentile(calm, 50) - _percentile(in_process, 50), 2, True,
        ),
        Verdict(
            f"{name}: p99 at 50/s less in-process, ms",
            _percentile(calm, 99) - _percentile(in_process, 99), 4, True,
        ),
        Verdict(f"{name}: median wait at 50/s, ms", median(one["queue_ms"]), 0.2, True),
    ]  # fmt: skip
    if over := one["overload"]:
        peak = median(one["saturation"])
        found += [
            Verdict(f"{name}: goodput at 3 × / peak", over["goodput"] / peak, 0.95, False),
            Verdict(f"{name}: p99 of the accepted at 3 ×, ms", over["accepted_p99_ms"], 50, True),
            Verdict(f"{name}: p99 of a refusal at 3 ×, ms", over["refused_p99_ms"], 5, True),
            Verdict(f"{name}: memory grown at 3 ×, MiB", over["grown_mib"], 64, True),
            Verdict(f"{name}: back to normal after, s", over["recovery_s"], 2, True),
        ]
    return found


def _beside(
    name: str, one: dict[str, Any], peers: dict[str, Any], rate: float, calm: float
) -> list[Verdict]:
    found = []
    for arrivals in ("constant", "poisson"):
        key = f"highest_{arrivals}"
        rates = [peer[key] for peer in peers.values() if peer[key]]
        if rates and one[key] is not None:
            ratio = one[key] / max(rates)
            what = f"{name}: highest rate with p99 < 50 ms ({arrivals}) / best peer's"
            found.append(Verdict(what, ratio, rate, False))
    lowest = min(calm_p99(peer) for peer in peers.values())
    what = f"{name}: p99 at 50/s / lowest peer's"
    found.append(Verdict(what, calm_p99(one) / lowest, calm, True))
    return found


def _percentile(values: list[float], share: float) -> float:
    # Some may be infinite: nothing is interpolated.
    return float(np.percentile(values, share, method="higher"))


def saturation_share(one: dict[str, Any]) -> float:
    """Of the limit, measured right before: the median of the rounds."""
    pairs = zip(one["saturation"], one["limit"], strict=False)
    return float(median(reached / limit for reached, limit in pairs))


def calm_p99(one: dict[str, Any]) -> float:
    """p99 at 50/s, ms: the median of the rounds."""
    return float(np.median([calm[2] for calm in one["calm_ms"] or [[0, 0, np.inf]]]))
