"""Lost requests and the length of an outage, from what was observed."""

import json

import numpy as np

from challenges.load.observations import LOST, Observations
from quizzes.evidence.recovery import Farewell, Outage, first_class


def observe(*status: int) -> Observations:
    """Return requests with these statuses, ten a second."""
    due = np.arange(len(status)) / 10
    none = np.full(len(status), np.nan)
    return Observations(due, due, due, np.array(status), [b""] * len(status), none, 0.0)


def test_an_outage_lasts_until_every_photo_is_answered_again() -> None:
    outage = Outage(observe(200, 200, LOST, 200, LOST, 200, 200), at=0.15)
    assert outage.lost == 2
    assert round(outage.seconds, 3) == 0.35
    assert (Outage(observe(200, 200), at=0.1).lost, Outage(observe(200), at=0.1).seconds) == (0, 0)


def test_a_refused_request_is_not_a_lost_one() -> None:
    assert Farewell(observe(200, 503, LOST), 503, 200, 0).lost == 1


def test_the_first_class_of_an_answer() -> None:
    predictions = [{"class_id": 7}, {"class_id": 8}]
    assert first_class(json.dumps({"predictions": predictions}).encode()) == 7
