"""`GET /metrics`: what Prometheus reads agrees with what was answered."""

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.runner.jobs import BUCKETS_S, Counters, Histogram


def read_samples(client: TestClient) -> dict[str, float]:
    """All samples by name, with the label in brackets."""
    samples = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            samples[f"{sample.name}{sorted(sample.labels.values())}"] = sample.value
    return samples


def test_answers_and_failures_are_counted_apart(client: TestClient) -> None:
    before = read_samples(client)
    assert client.post("/predict", content=SAMPLE_PHOTOS[0].read()).status_code == 200
    assert client.post("/predict", content=b"no image").status_code == 422
    grown = {name: value - before[name] for name, value in read_samples(client).items()}
    assert grown["inference_requests_total['answered']"] == 1
    assert grown["inference_requests_total['failed']"] == 1
    assert grown["inference_forward_passes_total[]"] == grown["inference_images_total[]"] == 1
    assert grown["inference_latency_seconds_count[]"] == 1
    assert grown["inference_latency_seconds_bucket['+Inf']"] == 1


def test_memory_and_time_of_the_process_are_there(client: TestClient) -> None:
    samples = read_samples(client)
    assert samples["process_resident_memory_bytes[]"] > 10e6
    assert samples["process_cpu_seconds_total[]"] > 0


@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.0051, 0.05, 99.0])
def test_a_duration_falls_into_the_first_bucket_that_holds_it(seconds: float) -> None:
    histogram = Histogram()
    histogram.observe(seconds)
    place = histogram.counts.index(1)
    bounds = [*BUCKETS_S, float("inf")]
    assert seconds <= bounds[place]
    assert place == 0 or seconds > bounds[place - 1]
    assert histogram.sum_s == seconds


def test_inside_is_what_was_admitted_and_has_not_ended() -> None:
    counters = Counters(admitted=10, answered=4, failed=1, expired=2, left=1)
    assert counters.inside == 2
