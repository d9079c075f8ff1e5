"""The way to a lane is measured with a real service that computes nothing."""

from fastapi.testclient import TestClient

from challenges.load.images import distinct_images
from notebooks.workshop.way import ANSWER, create_app, measure_way


def test_the_service_answers_every_photo_alike() -> None:
    client = TestClient(create_app())
    for body in (b"", b"anything"):
        assert client.post("/predict", content=body).json() == ANSWER


def test_the_way_is_measured_and_its_process_ends() -> None:
    way = measure_way(distinct_images(2), rate=20, seconds=1)
    assert len(way.latency_ms) == 20
    assert min(way.latency_ms) > 0
    assert 0 < way.share < 0.9
