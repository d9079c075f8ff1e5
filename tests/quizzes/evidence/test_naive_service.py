"""The naive service answers right, and loads its weights when it is told to."""

import logging

import pytest
from fastapi.testclient import TestClient

from quizzes.evidence.naive_service import create_app
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.verify import Bundle


@pytest.mark.parametrize(
    ("moment", "loads"), [("request", [0, 1, 2]), ("first", [0, 1, 1]), ("startup", [1, 1, 1])]
)
def test_weights_are_loaded_at_the_moment_that_was_chosen(
    moment: str, loads: list[int], bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    photo = SAMPLE_PHOTOS[0]
    counted = []
    with (
        caplog.at_level(logging.INFO, logger="uvicorn.error"),
        TestClient(create_app(moment, bundle.path)) as client,
    ):
        assert client.get("/livez").json() == {"status": "live"}
        for _ in range(2):
            counted.append(caplog.text.count("Loaded "))
            answer = client.post("/predict", content=photo.read()).json()
            assert answer["predictions"][0]["label"] in photo.labels
        counted.append(caplog.text.count("Loaded "))
    assert counted == loads
