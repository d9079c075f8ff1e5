"""`GET /metrics`: what Prometheus reads agrees with what was answered, and tells the cause."""

import io
from collections.abc import Callable
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from challenges.load.arrivals import due_times
from challenges.load.generator import Target, generate
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.verify import Bundle
from service.runner.jobs import BUCKETS_S, REFUSALS, STAGES, Counters, Histogram
from service.telemetry import exposition
from service.telemetry.exposition import read_throttling
from service.web.edge import _REFUSALS
from tests.conftest import ServiceProcess, wait_until
from tests.service.web.test_protocol import connect, read_answer

PHOTO = SAMPLE_PHOTOS[0].read()
Start = Callable[..., ServiceProcess]


def read_samples(client: TestClient | httpx.Client) -> dict[str, float]:
    """All samples by name; behind it the values of the labels, in the order of their names."""
    samples = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            values = [value for _, value in sorted(sample.labels.items())]
            samples[f"{sample.name}{values}"] = sample.value
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
    assert histogram.sum == seconds


def test_inside_is_what_was_admitted_and_has_not_ended() -> None:
    counters = Counters(admitted=10, answered=4, failed=1, expired=2, left=1)
    assert counters.inside == 2


def test_what_is_served_is_named(client: TestClient, bundle: Bundle) -> None:
    facts = ["cpu", bundle.digest, "onnx-fp32", "efficientnet-lite0", "1.0.0"]
    assert read_samples(client)[f"inference_model_info{facts}"] == 1


def grow(client: httpx.Client, act: Callable[[], object]) -> dict[str, float]:
    """By how much each sample grows while something is done; without what does not change."""
    before = read_samples(client)
    act()
    after = read_samples(client)
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def test_refusals_say_whose_matter_they_are(start_service: Start) -> None:
    """A bad image is no fault of the service, and an alert on its faults stays silent."""
    service = start_service("--max-header-bytes", "2048")
    with httpx.Client(base_url=service.url) as client:

        def ask() -> None:
            client.post("/predict", content=PHOTO)
            client.post("/predict", content=b"no image")
            client.post("/predict", content=PHOTO, headers={"X-Deadline-Ms": "soon"})
            client.post("/predict", content=PHOTO, headers={"X-Deadline-Ms": "0.01"})
            client.post("/predict", content=PHOTO, headers={"content-type": "text/plain"})
            client.get("/nothing")
            client.get("/livez")
            with connect(service.url) as odd:
                odd.sendall(b"GET /livez HTTP/1.1\r\nX: " + bytes(3000))
                assert read_answer(odd).status in (400, 431)
            with connect(service.url) as leaves:
                leaves.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1")

            left = "inference_refusals_total['client', 'left']"
            wait_until(lambda: read_samples(client)[left] > 0)

        grown = grow(client, ask)
    refusals = {name: n for name, n in grown.items() if name.startswith("inference_refusals")}
    reasons = ("bad_image", "bad_request", "unsupported_type", "no_route", "bad_http", "left")
    expected = {f"inference_refusals_total['client', '{reason}']": 1.0 for reason in reasons}
    assert refusals == expected | {"inference_refusals_total['load', 'overload']": 1.0}
    assert grown["inference_answers_total['200']"] == 1
    assert grown["inference_answers_total['422']"] == 2


def test_every_reason_is_known() -> None:
    assert set(_REFUSALS.values()) <= set(REFUSALS)
    assert set(REFUSALS.values()) == {"client", "load", "service"}


def make_large_photo() -> bytes:
    """12 megapixels that are slow to decode, as of a phone."""
    with Image.open(io.BytesIO(PHOTO)) as photo:
        large = np.asarray(photo.convert("RGB").resize((4000, 3000)))
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(-6, 7, large.shape)
    Image.fromarray((large + noise).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def stage_means(grown: dict[str, float]) -> dict[str, float]:
    """Mean seconds in each stage, as docs/service.md says to look at it."""
    return {
        stage: grown[f"inference_stage_seconds_sum['{stage}']"]
        / grown[f"inference_stage_seconds_count['{stage}']"]
        for stage in STAGES
    }


def test_metrics_alone_tell_why_it_became_slow(start_service: Start) -> None:
    """Photos of 12 megapixels among small ones: the pixels' stage and the sizes show it."""
    service = start_service()
    patient = {"X-Deadline-Ms": "60000"}
    target = Target(int(service.url.rpartition(":")[2]), headers=patient)

    def load(photos: list[bytes]) -> None:
        seen = generate(target, due_times("constant", 8, 4, seed=0), photos, timeout=90)
        assert list(seen.status) == [200] * 32

    with httpx.Client(base_url=service.url) as client:
        usual = grow(client, lambda: load([PHOTO]))
        slow = grow(client, lambda: load([PHOTO, make_large_photo()]))
    for grown in (usual, slow):
        # The stages leave nothing out.
        parts = sum(grown[f"inference_stage_seconds_sum['{stage}']"] for stage in STAGES)
        assert parts == pytest.approx(grown["inference_answer_seconds_sum[]"], rel=0.02)
        assert grown["inference_answer_seconds_count[]"] == 32
        assert grown["inference_event_loop_lag_seconds_count[]"] > 10
    before, after = stage_means(usual), stage_means(slow)
    growth = {stage: after[stage] - before[stage] for stage in STAGES if stage != "queue"}
    assert max(growth, key=lambda stage: growth[stage]) == "preprocess", growth
    sizes = [one["inference_image_bytes_sum[]"] / 32 for one in (usual, slow)]
    assert sizes[1] > 2 * sizes[0]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("nr_periods 9\nnr_throttled 4\nthrottled_usec 2500000\n", (9, 4, 2.5)),
        ("nr_periods 9\nnr_throttled 4\nthrottled_time 2500000000\n", (9, 4, 2.5)),
        ("usage_usec 5\n", None),  # a group of version 2 without a quota
        ("no numbers", None),
    ],
)
def test_throttling_of_both_kinds_of_groups(
    text: str,
    seen: tuple[int, int, float] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "pod" / "container"
    folder.mkdir(parents=True)
    (folder / "cpu.stat").write_text(text)
    groups = [(tmp_path, Path()), (tmp_path, Path("pod/container"))]
    monkeypatch.setattr(exposition, "find_cgroups", lambda: groups)
    assert read_throttling() == seen
