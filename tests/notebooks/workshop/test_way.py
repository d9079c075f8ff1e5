"""The lanes, and the way to them by a service that computes nothing."""

import threading

from fastapi.testclient import TestClient

from notebooks.workshop.way import ANSWER, create_app, measure_lanes_and_way


def test_the_service_answers_every_photo_alike() -> None:
    client = TestClient(create_app())
    for body in (b"", b"anything"):
        assert client.post("/predict", content=body).json() == ANSWER


def test_lanes_and_way_are_measured_at_the_same_time() -> None:
    threads, taken = set(), []
    wait = threading.Event().wait

    def answer(photo: bytes) -> None:
        threads.add(threading.get_ident())
        taken.append(photo)
        wait(0.05)  # 60 a second come, 20 a second leave: most of them wait in the queue

    lane_ms, way_ms = measure_lanes_and_way(answer, [b"a", b"b"], lanes=1, rate=60, seconds=0.5)
    assert len(threads) == 1
    assert taken[:4] == [b"a", b"b", b"a", b"b"]
    assert 0 < len(lane_ms) == len(way_ms) < len(taken)
    assert min(lane_ms) >= 50
    assert sorted(lane_ms)[len(lane_ms) // 2] < 75
    assert min(way_ms) > 0
