"""One batch on its way through an engine: in parts, that several threads may share."""

import time
from collections.abc import Sequence

import numpy as np

from service.engines.base import Partial, Prepared, Probabilities, SplitEngine, WholeEngine

Stages = SplitEngine | WholeEngine


class ForwardPass:
    """A batch and what became of its parts. `take` and `put` are called under the owner's lock."""

    def __init__(self, stages: Stages, images: Sequence[Prepared]) -> None:
        """Begin with images that `stages.prepare` made."""
        self.started = time.perf_counter()
        self._stages = stages
        self._images = images
        self._batch = _stack(images)
        self._taken = 0
        self._found: list[Partial | Exception] = []
        self._order: list[int] = []

    def take(self) -> int | None:
        """The next part to run, or None if all are taken."""
        if self._taken == self._stages.parts:
            return None
        self._taken += 1
        return self._taken - 1

    def run(self, part: int) -> Partial | Exception:
        """Run one part on this thread, without the lock."""
        return _run(self._stages, part, self._batch)

    def put(self, part: int, found: Partial | Exception) -> bool:
        """Note what a part gave; whether it was the last."""
        self._order.append(part)
        self._found.append(found)
        return len(self._found) == self._stages.parts

    def answers(self) -> list[Probabilities | Exception]:
        """An answer for each image. If the batch failed, each is tried alone, and fails alone."""
        pairs = sorted(zip(self._order, self._found, strict=True), key=lambda pair: pair[0])
        answers = _combine(self._stages, [found for _, found in pairs])
        if not isinstance(answers, Exception):
            return answers
        if len(self._images) == 1:
            return [answers]
        return [_alone(self._stages, image) for image in self._images]


def _alone(stages: Stages, image: Prepared) -> Probabilities | Exception:
    batch = _stack([image])
    found = _combine(stages, [_run(stages, part, batch) for part in range(stages.parts)])
    return found if isinstance(found, Exception) else found[0]


def _run(stages: Stages, part: int, batch: Prepared) -> Partial | Exception:
    try:
        return stages.run_part(part, batch)
    except Exception as error:
        return error


def _combine(
    stages: Stages, found: Sequence[Partial | Exception]
) -> list[Probabilities | Exception] | Exception:
    partials = []
    for partial in found:
        if isinstance(partial, Exception):
            return partial
        partials.append(partial)
    try:
        rows = stages.combine(partials)
    except Exception as error:
        return error
    return [
        row if np.isfinite(row[0]) else FloatingPointError("the model answered not a number")
        for row in rows
    ]


def _stack(images: Sequence[Prepared]) -> Prepared:
    if len(images) == 1:
        return images[0][np.newaxis]  # no copy
    return np.stack(images)
