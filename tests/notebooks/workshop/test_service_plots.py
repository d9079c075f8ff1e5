"""The plots of lesson 4 state in words what they show."""

import numpy as np

from challenges.load.observations import LOST, Observations
from notebooks.workshop.service_plots import (
    show_answers,
    show_first_users,
    show_outage,
    show_start,
)
from quizzes.evidence.start_order import Step
from service.artifact.sample_photos import SAMPLE_PHOTOS
from tests.notebooks.workshop.conftest import Shown


def test_a_start_names_its_steps(shown: Shown) -> None:
    show_start([Step("imports", 0, 1.5), Step("verify", 1.5, 1.75)])
    assert shown.text == "imports 1,500 ms; verify 250 ms"


def test_first_users_are_told_from_later_ones(shown: Shown) -> None:
    due = np.arange(3.0)
    lazy = Observations(
        due=due, sent=due, done=due + np.array([0.9, 0, 0]), status=np.array([200, LOST, 200]),
        bodies=[b""] * 3, retry_after=np.full(3, np.nan), cpu_share=0.1,
    )  # fmt: skip
    show_first_users({"lazy": lazy}, guess=100)
    assert shown.text == "lazy: first user 900 ms, last user 0 ms, 2 of 3 users over 50 ms"


def test_answers_name_the_first_class_of_each_photo(shown: Shown) -> None:
    photos = SAMPLE_PHOTOS[:2]
    answers = [
        {"predictions": [{"label": label, "probability": 0.75}, {"label": "x", "probability": 0.1}]}
        for label in ("espresso", "dog")
    ]
    show_answers(photos, answers)
    assert shown.text == f"{photos[0].name}: espresso 75%; {photos[1].name}: dog 75%"


def test_an_outage_counts_answered_and_lost(shown: Shown) -> None:
    due = np.arange(4.0)
    seen = Observations(
        due=due, sent=due, done=due + 0.01, status=np.array([200, LOST, 503, 200]),
        bodies=[b""] * 4, retry_after=np.full(4, np.nan), cpu_share=0.1,
    )  # fmt: skip
    show_outage(seen, at=0.5, back=2.0)
    assert shown.text == (
        "3 requests answered, 1 lost; killed after 0.5 s, back 1.5 s after the kill"
    )
