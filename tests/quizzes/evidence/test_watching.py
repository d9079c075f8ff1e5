"""Counters, budgets and the trail of a request."""

from io import BytesIO
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from challenges.load.observations import LOST, Observations
from quizzes.evidence import watching
from service.preprocessing import MAX_PIXELS

METRICS = """# TYPE inference_requests counter
inference_requests_total{outcome="answered"} 7.0
inference_requests_total{outcome="failed",reason="image"} 1.0
inference_requests_total{outcome="failed",reason="engine"} 2.0
inference_requests_inside 4.0
"""


def observe(latency_ms: list[float], status: list[int]) -> Observations:
    """Return requests with these latencies and statuses, ten a second."""
    due = np.arange(len(status)) / 10
    done = due + np.array(latency_ms) / 1000
    none = np.full(len(status), np.nan)
    return Observations(due, due, done, np.array(status), [b""] * len(status), none, 0.0)


def test_counters_are_summed_by_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(url: str) -> Any:
        assert url == "http://x/metrics"
        return SimpleNamespace(text=METRICS)

    monkeypatch.setattr("quizzes.evidence.watching.httpx.get", get)
    assert watching.counters("http://x") == {"answered": 7, "failed": 3}


def test_late_and_failed_requests_spend_the_budget() -> None:
    seen = observe([10, 100, 101, 5, 5], [200, 200, 200, 503, LOST])
    budget = watching.budget_of(seen, in_time_ms=100, objective=0.5)
    assert (budget.requests, budget.late, budget.allowed) == (5, 3, 2.5)
    assert budget.burn_rate == 1.2


def test_the_phones_photo_has_12_megapixels() -> None:
    with Image.open(BytesIO(watching.phone_file())) as image:
        assert image.size == (4000, 3000)
        assert image.width * image.height < MAX_PIXELS
