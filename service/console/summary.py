"""What the inspector shows of an artifact and of the counters."""

import math
import os
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from service.runner.jobs import BUCKETS_S, Counters


def summarise_artifact(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer of `GET /artifact` without labels and golden answers: those fill pages."""
    match, settings = answer["environment_match"], answer["preprocessing"]
    mean, std = answer["architecture"]["mean"], answer["architecture"]["std"]
    return {
        "name": answer["name"],
        "version": answer["version"],
        "digest": answer["digest"][:12],
        "form": answer["form"],
        "engine": answer["engine"],
        "precision": answer["precision"],
        "device": answer["device"],
        "threads": answer["threads"],
        "lanes": answer["lanes"],
        "input": f"{answer['input']['dtype']} [{', '.join(map(str, answer['input']['shape']))}]",
        "preprocessing": {
            "resize": settings["resize"],
            "crop": settings["crop"],
            "interpolation": settings["interpolation"],
        },
        "normalisation": {"mean": _same_or_all(mean), "std": _same_or_all(std)},
        "matches": match["matches"],
        "differences": "; ".join(match["differences"]),
        "startup_ms": {name: round(ms) for name, ms in answer["startup_ms"].items()},
        "loaded": answer["forms"][answer["form"]]["file"],
        "files": [
            {
                "name": name,
                "bytes": file["bytes"],
                "sha256": file["sha256"],
                "verified": answer["verified"].get(name) == file["sha256"],
            }
            for name, file in answer["files"].items()
        ],
    }


def _same_or_all(values: list[float]) -> str:
    distinct = sorted(set(values))
    return f"{distinct[0]:g}" if len(distinct) == 1 else ", ".join(f"{one:g}" for one in values)


def summarise_counters(counters: Counters, memory_bytes: int) -> dict[str, Any]:
    """Return requests by outcome, latency quantiles in ms, and memory in MB."""
    ends = [*BUCKETS_S, math.inf]
    buckets = list(zip(ends, accumulate(counters.latency.counts), strict=True))
    return {
        "answered": counters.answered,
        "failed": counters.failed + counters.left,
        "refused": counters.refused + counters.expired,
        "p50_ms": bucket_quantile(buckets, 0.5),
        "p99_ms": bucket_quantile(buckets, 0.99),
        "memory_mb": round(memory_bytes / 1e6),
    }


def resident_bytes() -> int:
    """Return the physical memory of this process; 0 on systems without /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def summarise_metrics(text: str) -> dict[str, Any]:
    """Return the same from the answer of `GET /metrics` of another process."""
    counters, memory = Counters(), 0
    totals: list[int] = []
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "inference_requests_total":
                setattr(counters, sample.labels["outcome"], int(sample.value))
            elif sample.name == "inference_latency_seconds_bucket":
                totals.append(int(sample.value))
            elif sample.name == "process_resident_memory_bytes":
                memory = int(sample.value)
    if totals:
        counters.latency.counts = [totals[0], *(after - one for one, after in pairwise(totals))]
    return summarise_counters(counters, memory)


def bucket_quantile(buckets: Sequence[tuple[float, float]], share: float) -> float | None:
    """Return the upper end, in ms, of the bucket in which that share of all requests is reached.

    A bucket says no more than that. `buckets` are (upper end in s, cumulative count), the last one
    infinite. None, if nothing was counted, or if it lies over the last finite end.
    """
    if not buckets or not buckets[-1][1]:
        return None
    wanted = share * buckets[-1][1]
    for (_, below), (end, count) in pairwise([(0.0, 0.0), *buckets]):
        if below < wanted <= count:
            return end * 1000 if end != float("inf") else None
    return None
