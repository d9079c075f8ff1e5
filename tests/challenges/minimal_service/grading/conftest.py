"""What tests of the grader share: English messages, and small services that start in no time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from challenges.minimal_service.grading.submission.submission import Submission
from learner.language import speaking
from tests.challenges.minimal_service.grading.submissions import Make, opened, write_fake


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    """Speak English, whatever language the learner of this folder has chosen."""
    with speaking("en"):
        yield


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Open a small service with faults put in."""
    return lambda **code: opened(write_fake(tmp_path / "mine", **code), tmp_path / "grade")


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Submission:
    """A small right service."""
    place = tmp_path_factory.mktemp("right")
    return opened(write_fake(place / "mine"), place / "grade")
