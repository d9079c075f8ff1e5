"""`GET /metrics` for Prometheus: what became of the requests. Costs a request nothing."""

import os
from collections.abc import Iterator
from itertools import accumulate

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from service.loaded_model import LoadedModel
from service.runner.jobs import BUCKETS_S, Counters

router = APIRouter(tags=["service"])

Metric = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class _RequestCollector(Collector):
    """Reads the counters when Prometheus asks."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        counters = self._counters
        requests = CounterMetricFamily(
            "inference_requests",
            "Requests for predictions, by what became of them",
            labels=["outcome"],
        )
        for outcome in ("answered", "failed", "refused", "expired", "left"):
            requests.add_metric([outcome], getattr(counters, outcome))
        yield requests
        yield GaugeMetricFamily(
            "inference_requests_inside", "Requests waiting or worked on", counters.inside
        )
        yield CounterMetricFamily("inference_forward_passes", "Forward passes", counters.batches)
        yield CounterMetricFamily("inference_images", "Images in forward passes", counters.images)
        ends = [*map(str, BUCKETS_S), "+Inf"]
        latency = HistogramMetricFamily(
            "inference_latency_seconds", "Seconds from a request's admission to its answer"
        )
        counts = list(accumulate(counters.latency.counts))
        latency.add_metric(
            [], list(zip(ends, counts, strict=True)), sum_value=counters.latency.sum_s
        )
        yield latency


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Counters, latency histogram, memory and CPU time, in Prometheus' text format."""
    registry = CollectorRegistry()
    model: LoadedModel = request.app.state.model
    registry.register(_RequestCollector(model.counters))
    if model.plan.metrics is not None:
        registry.register(model.plan.metrics)
    owner = model.shared.owner if model.shared is not None else os.getpid()
    ProcessCollector(pid=lambda: owner, registry=registry)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
