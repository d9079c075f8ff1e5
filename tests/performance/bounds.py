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
    """Every bound; one for which there is no figure is not kept."""
    everyone = results["contestants"]
    peers = {name: one for name, one in everyone.items() if name not in (OURS, OURS_DEFAULT)}
    verdicts = []
    for name, share, rate, calm in ((OURS, 0.95, 1.2, 1.0), (OURS_DEFAULT, 0.90, 1.7, 0.65)):
        one = everyone.get(name, {})
        verdicts += _alone(name, one, results["in_process_ms"], share)
        if peers:
            verdicts += _beside(name, one, peers, rate, calm)
    return verdicts


def _alone(
    name: str, one: dict[str, Any], in_process_ms: dict[str, list[float]], share: float
) -> list[Verdict]:
    calm, in_process = one.get("latencies_ms"), in_process_ms.get(one.get("form", ""))
    over = one.get("overload") or {}
    queue_ms = _percentile(one.get("queue_ms"), 50)
    goodput = over.get("goodput", np.nan) / median(one.get("saturation") or [np.nan])
    return [
        Verdict(f"{name}: saturation / limit", saturation_share(one), share, False),
        Verdict(
            f"{name}: median at 50/s less in-process, ms",
            _percentile(calm, 50) - _percentile(in_process, 50), 2, True,
        ),
        Verdict(
            f"{name}: p99 at 50/s less in-process, ms",
            _percentile(calm, 99) - _percentile(in_process, 99), 4, True,
        ),
        Verdict(f"{name}: median wait at 50/s, ms", queue_ms, 0.2, True),
        Verdict(f"{name}: goodput at 3 × / peak", goodput, 0.95, False),
        *(
            Verdict(f"{name}: {what}", over.get(key, np.nan), bound, True)
            for what, key, bound in (
                ("p99 of the accepted at 3 ×, ms", "accepted_p99_ms", 50),
                ("p99 of a refusal at 3 ×, ms", "refused_p99_ms", 5),
                ("memory grown at 3 ×, MiB", "grown_mib", 64),
                ("back to normal after, s", "recovery_s", 2),
            )
        ),
    ]  # fmt: skip


def _beside(
    name: str, one: dict[str, Any], peers: dict[str, Any], rate: float, calm: float
) -> list[Verdict]:
    found = []
    for arrivals in ("constant", "poisson"):
        key = f"highest_{arrivals}"
        # A peer without a figure could be the best one: then there is no verdict in our favour.
        rates = [peer[key] for peer in peers.values()]
        best = np.nan if None in rates else max(rates)
        own = one.get(key)
        ratio = np.nan if own is None else own / best if best else np.inf
        what = f"{name}: highest rate with p99 < 50 ms ({arrivals}) / best peer's"
        found.append(Verdict(what, ratio, rate, False))
    lowest = min(calm_p99(peer) for peer in peers.values())
    what = f"{name}: p99 at 50/s / lowest peer's"
    found.append(Verdict(what, calm_p99(one) / lowest, calm, True))
    return found


def _percentile(values: list[float] | None, share: float) -> float:
    # Some may be infinite: nothing is interpolated.
    return float(np.percentile(values, share, method="higher")) if values else np.nan


def saturation_share(one: dict[str, Any]) -> float:
    """Median over the rounds of the limit, measured right before."""
    pairs = zip(one.get("saturation", []), one.get("limit", []), strict=False)
    return float(median([reached / limit for reached, limit in pairs] or [np.nan]))


def calm_p99(one: dict[str, Any]) -> float:
    """p99 at 50/s, ms: the median of the rounds; infinite if there is none."""
    return float(median([calm[2] for calm in one.get("calm_ms") or []] or [np.inf]))
