"""What an operator may ask a service: `GET /metrics`, for Prometheus, and `GET /artifact`."""

import os
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.loaded_model import LoadedModel
from service.machine import find_cgroups
from service.runner.jobs import REFUSALS, STAGES, Counters, Histogram

__all__ = ["CONTENT_TYPE", "describe_artifact", "expose", "read_throttling"]


def expose(model: LoadedModel) -> bytes:
    """Return all metrics of a loaded model and of the process that computes."""
    registry = CollectorRegistry()
    registry.register(_ModelCollector(model))
    registry.register(_RequestCollector(model.counters))
    registry.register(_ThrottlingCollector())
    if model.plan.metrics is not None:
        registry.register(model.plan.metrics)
    owner = model.shared.owner if model.shared is not None else os.getpid()
    ProcessCollector(pid=lambda: owner, registry=registry)
    return generate_latest(registry)


MOST_LABELS = 10_000
"""With more labels /artifact leaves them out: megabytes of text would block the event loop."""


def describe_artifact(model: LoadedModel, front_ends: int) -> dict[str, Any]:
    """Return the answer of `GET /artifact`."""
    manifest, plan = model.manifest, model.plan
    too_many = len(manifest.labels) > MOST_LABELS
    return {
        **manifest.model_dump(mode="json", exclude={"labels"} if too_many else None),
        "classes": len(manifest.labels),
        "digest": model.bundle.digest,
        "verified": {name: file.sha256 for name, file in manifest.files.items()},
        "form": model.form.name,
        "engine": plan.engine.runtime,
        "precision": model.form.precision,
        "device": plan.engine.device,
        "threads": plan.threads,
        "lanes": plan.layout.lanes,
        "max_batch": plan.layout.max_batch,
        "front_ends": front_ends,
        "environment_match": {
            "matches": not model.environment_differences,
            "differences": model.environment_differences,
        },
        "startup_ms": {step.name: step.ms for step in model.steps},
    }


class _ModelCollector(Collector):
    def __init__(self, model: LoadedModel) -> None:
        self._model = model

    def collect(self) -> Iterator[Metric]:
        model = self._model
        facts = {
            "name": model.manifest.name,
            "version": model.manifest.version,
            "digest": model.bundle.digest,
            "form": model.form.name,
            "device": model.plan.engine.device,
        }
        yield InfoMetricFamily("inference_model", "What is served", facts)


class _RequestCollector(Collector):
    """Reads the counters when Prometheus asks."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        counters = self._counters
        outcomes = ("answered", "failed", "refused", "expired", "left")
        yield _count(
            "inference_requests",
            "Images that came to the runner, by what became of them",
            "outcome",
            {outcome: getattr(counters, outcome) for outcome in outcomes},
        )
        yield GaugeMetricFamily(
            "inference_requests_inside", "Images waiting or worked on", counters.inside
        )
        yield CounterMetricFamily("inference_forward_passes", "Forward passes", counters.batches)
        yield CounterMetricFamily("inference_images", "Images in forward passes", counters.images)
        yield _histogram("inference_batch_size", "Images of a forward pass", counters.batch_sizes)
        yield _histogram("inference_image_bytes", "Sizes of image files", counters.image_bytes)
        yield _histogram(
            "inference_latency_seconds",
            "Seconds from an image's admission to the end of its forward pass",
            counters.latency,
        )
        yield _histogram(
            "inference_answer_seconds",
            "Seconds from a request's head to its answer, of predictions",
            counters.answers_s,
        )
        stages = HistogramMetricFamily(
            "inference_stage_seconds",
            "Seconds in each stage; those of a request add up to inference_answer_seconds",
            labels=["stage"],
        )
        for stage in STAGES:
            _fill(stages, [stage], counters.stages[stage])
        yield stages
        statuses = {str(status or "other"): n for status, n in counters.statuses.items()}
        yield _count("inference_answers", "Answers by HTTP status", "status", statuses)
        refusals = CounterMetricFamily(
            "inference_refusals",
            "Requests without a prediction, by reason, and by whose matter it is",
            labels=["reason", "matter_of"],
        )
        for reason, count in counters.refusals.items():
            refusals.add_metric([reason, REFUSALS[reason]], count)
        yield refusals
        yield _histogram(
            "inference_event_loop_lag_seconds",
            "Seconds that the event loop came too late, sampled ten times a second",
            counters.loop_lag,
        )


class _ThrottlingCollector(Collector):
    """What the control group's CPU quota cost; nothing where there is none to read."""

    def collect(self) -> Iterator[Metric]:
        seen = read_throttling()
        if seen is None:
            return
        periods, throttled, seconds = seen
        yield CounterMetricFamily(
            "inference_cpu_periods", "Periods of the CPU quota in which the group ran", periods
        )
        yield CounterMetricFamily(
            "inference_cpu_throttled_periods", "Those in which the quota stopped it", throttled
        )
        yield CounterMetricFamily(
            "inference_cpu_throttled_seconds", "Seconds for which the quota stopped it", seconds
        )


def read_throttling() -> tuple[int, int, float] | None:
    """Return periods, throttled periods and throttled seconds, or None where nothing tells them.

    From `cpu.stat` of the innermost control group that has them: `throttled_usec` of version 2,
    `throttled_time` in ns of version 1 (docs.kernel.org/admin-guide/cgroup-v2.html).
    """
    for root, group in reversed(find_cgroups()):
        for folder in (group, *group.parents):
            seen = _read_cpu_stat(root / folder / "cpu.stat")
            if seen is not None:
                return seen
    return None


def _read_cpu_stat(path: Path) -> tuple[int, int, float] | None:
    try:
        pairs = [line.split() for line in path.read_text().splitlines()]
        stat = {name: int(value) for name, value in pairs}
        nanoseconds = stat.get("throttled_time", 1000 * stat.get("throttled_usec", 0))
        return stat["nr_periods"], stat["nr_throttled"], nanoseconds / 1e9
    except (OSError, ValueError, KeyError):
        return None


def _count(name: str, help_text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, help_text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def _histogram(name: str, help_text: str, histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(name, help_text)
    _fill(family, [], histogram)
    return family


def _fill(family: HistogramMetricFamily, labels: list[str], histogram: Histogram) -> None:
    ends = [*(f"{bound:g}" for bound in histogram.bounds), "+Inf"]
    buckets = list(zip(ends, accumulate(histogram.counts), strict=True))
    family.add_metric(labels, buckets, sum_value=histogram.sum)
