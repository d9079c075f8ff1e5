"""What the inspector shows of /artifact and /metrics."""

import pytest
from fastapi.testclient import TestClient

from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.console.summary import bucket_quantile, summarise_artifact, summarise_metrics


@pytest.mark.parametrize(
    ("buckets", "share", "quantile"),
    [
        ([(0.01, 50.0), (0.05, 99.0), (float("inf"), 100.0)], 0.99, 50.0),
        ([(0.01, 50.0), (0.05, 99.0), (float("inf"), 100.0)], 0.5, 10.0),
        ([(0.01, 1.0), (float("inf"), 100.0)], 0.99, None),
        ([(0.01, 0.0), (float("inf"), 0.0)], 0.5, None),
        ([], 0.5, None),
    ],
)
def test_a_quantile_is_the_upper_end_of_its_bucket(
    buckets: list[tuple[float, float]], share: float, quantile: float | None
) -> None:
    assert bucket_quantile(buckets, share) == quantile


def test_metrics_of_a_service_that_has_answered(client: TestClient) -> None:
    before = summarise_metrics(client.get("/metrics").text)
    assert client.post("/predict", content=SAMPLE_PHOTOS[0].read()).status_code == 200
    after = summarise_metrics(client.get("/metrics").text)
    assert after["answered"] == before["answered"] + 1
    assert after["memory_mb"] > 50
    assert after["p50_ms"] is None or after["p50_ms"] > 0


def test_files_of_the_artifact_are_verified(client: TestClient) -> None:
    summary = summarise_artifact(client.get("/artifact").json())
    assert summary["name"] == "efficientnet-lite0"
    assert summary["loaded"] in [file["name"] for file in summary["files"]]
    assert all(file["verified"] for file in summary["files"])
    assert "labels" not in summary
