"""Two users call a function that keeps its image in a global variable: answers get mixed up."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from learner.language import _
from quizzes.evidence import Evidence
from quizzes.evidence.exhibit import AUTHOR, Kernel, run_cells
from service.artifact.sample_photos import SAMPLE_PHOTOS, SamplePhoto

WAIT_S = 30.0


def meet_after(step: Callable[[Any], Any], callers: int = 2) -> Callable[[Any], Any]:
    """Return `step` with a wait after it, until `callers` threads have done it.

    It changes no value. It only enforces an order of events that happens by chance otherwise.
    """
    barrier = threading.Barrier(callers, timeout=WAIT_S)

    def stepped(argument: Any) -> Any:
        result = step(argument)
        barrier.wait()
        return result

    return stepped


def at_once(predict: Callable[[Any], str], photos: Sequence[SamplePhoto]) -> list[str]:
    """Classify photos at the same time, each in its own thread."""
    with ThreadPoolExecutor(len(photos)) as users:
        return list(users.map(predict, [photo.path for photo in photos]))


def two_photos() -> tuple[SamplePhoto, SamplePhoto]:
    """Return a coffee and a flower, which cannot be confused."""
    return SAMPLE_PHOTOS[0], SAMPLE_PHOTOS[-1]


def right_answers(answers: Sequence[str], photos: Sequence[SamplePhoto]) -> int:
    """Count the answers that fit their photo."""
    return sum(answer in photo.labels for answer, photo in zip(answers, photos, strict=True))


def run() -> Evidence:
    """Give the exhibit's predict function two photos, first in turn, then at the same time."""
    kernel: Kernel = run_cells([*AUTHOR[:-1], "predict"])
    photos = two_photos()
    alone = right_answers([kernel.predict(photo.path) for photo in photos], photos)
    kernel.names["load"] = meet_after(kernel.names["load"])
    answers = at_once(kernel.predict, photos)
    together = right_answers(answers, photos)
    assert (alone, together) == (2, 1), "no mix-up"
    return Evidence(
        shows=_(
            "One after the other, {alone} of 2 answers were right. At once, {together} of 2 was "
            "right: both users got {answer}."
        ).format(alone=alone, together=together, answer=answers[0]),
        values={_("one after the other"): alone, _("at once"): together},
        varies=_("the moment of the second call; function, model and photos are the same."),
    )
