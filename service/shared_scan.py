"""Images on their way through the parts of an engine: each part is read for all who want it.

As in a database's shared scan (also: cooperative or circular scan), an image joins whenever it is
prepared, takes part in whatever is read from then on, and leaves when it has seen all parts.
A whole model is one part: then a step is a batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from service.engines.base import Partial, Prepared, Probabilities, SplitEngine, WholeEngine

Stages = SplitEngine | WholeEngine
Outcome = Partial | Exception
Rider = TypeVar("Rider")
"""What an image is known by: the runner's job."""


@dataclass(slots=True, eq=False)
class _Image:
    prepared: Prepared
    wanted: set[int]
    """Parts that were not begun for it."""
    outcomes: dict[int, Outcome] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step(Generic[Rider]):
    """One part, for a batch of images."""

    part: int
    riders: list[Rider]
    batch: Prepared


class SharedScan(Generic[Rider]):
    """Who is on the way, and what is to be read next. All but `run` under the owner's lock."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._images: dict[Rider, _Image] = {}
        self._wanting: dict[Rider, _Image] = {}
        """Of these, those for whom a part is still to be begun; in the order of joining."""
        self._next_part = 0

    @property
    def wanting(self) -> int:
        """How many want a part that was not begun for them."""
        return len(self._wanting)

    def join(self, rider: Rider, prepared: Prepared) -> None:
        """Let an image in that `stages.prepare` made."""
        image = _Image(prepared, set(range(self._stages.parts)))
        self._images[rider] = self._wanting[rider] = image

    def drop(self, rider: Rider) -> None:
        """Let go of one that has not begun."""
        del self._images[rider], self._wanting[rider]

    def waiting(self) -> Iterator[Rider]:
        """Those that want a part, in the order of joining."""
        return iter(self._wanting)

    def not_begun(self) -> list[Rider]:
        """Those for whom no part was begun."""
        parts = self._stages.parts
        return [rider for rider, image in self._wanting.items() if len(image.wanted) == parts]

    def take(self, most: int) -> Step[Rider] | None:
        """Of the parts that the first image wants, the one that most want; for `most` images."""
        first = next(iter(self._wanting.values()), None)
        if first is None:
            return None
        parts = self._stages.parts
        part = min(
            first.wanted,
            key=lambda each: (
                -sum(each in image.wanted for image in self._wanting.values()),
                (each - self._next_part) % parts,
            ),
        )
        self._next_part = (part + 1) % parts
        riders = [rider for rider, image in self._wanting.items() if part in image.wanted][:most]
        batch = _stack([self._wanting[rider].prepared for rider in riders])
        for rider in riders:
            image = self._wanting[rider]
            image.wanted.discard(part)
            if not image.wanted:
                del self._wanting[rider]
        return Step(part, riders, batch)

    def run(self, step: Step[Rider]) -> list[Outcome]:
        """What each image of the step gets. If the batch fails, each is tried, and fails, alone."""
        try:
            found = self._stages.run_part(step.part, step.batch)
        except Exception as error:
            if len(step.riders) == 1:
                return [error]
            return [
                self.run(Step(step.part, [rider], step.batch[at : at + 1]))[0]
                for at, rider in enumerate(step.riders)
            ]
        return [found[at : at + 1] for at in range(len(step.riders))]

    def put(
        self, step: Step[Rider], outcomes: Sequence[Outcome]
    ) -> list[tuple[Rider, list[Outcome]]]:
        """Note what the step gave. Those that have now seen all parts leave, with what they got."""
        finished = []
        for rider, outcome in zip(step.riders, outcomes, strict=True):
            image = self._images[rider]
            image.outcomes[step.part] = outcome
            if len(image.outcomes) == self._stages.parts:
                del self._images[rider]
                finished.append((rider, [image.outcomes[part] for part in sorted(image.outcomes)]))
        return finished

    def combine(self, outcomes: Sequence[Outcome]) -> Probabilities | Exception:
        """One image's answer, from what all parts gave; without the lock."""
        partials = []
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                return outcome
            partials.append(outcome)
        try:
            (row,) = self._stages.combine(partials)
        except Exception as error:
            return error
        if not np.isfinite(row[0]):
            return FloatingPointError("the model answered not a number")
        answer: Probabilities = row
        return answer


def _stack(images: Sequence[Prepared]) -> Prepared:
    if len(images) == 1:
        return images[0][np.newaxis]  # no copy
    return np.stack(images)
