"""What to ask next, and how much was learned: computed from the attempts alone.

Leitner's boxes: a right answer moves a question one box up, a wrong one puts it back into box 1.
What lies in box 1 is due at once, and comes first; the higher the box, the longer it rests.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from quizzes.engine import score
from quizzes.progress import Attempt
from quizzes.questions import Entry

RESTS = {1: timedelta(0), 2: timedelta(days=1), 3: timedelta(days=3), 4: timedelta(days=7)}
"""Box → how long a question in it rests after its last attempt."""


def box(attempts: Iterable[Attempt]) -> int:
    """Where the attempts at one question, the oldest first, have put it; 0 if there are none."""
    place = 0
    for attempt in attempts:
        place = min(max(place, 1) + 1, max(RESTS)) if attempt.correct else 1
    return place


def due(
    entries: Sequence[Entry], attempts: Sequence[Attempt], now: datetime, everything: bool = False
) -> list[Entry]:
    """The questions to ask now: missed ones, then new ones, then those that have rested.

    With `everything`, those follow that still rest.
    """
    ranked = []
    for place, entry in enumerate(entries):
        own = [attempt for attempt in attempts if attempt.question == entry.question.id]
        stands = box(own)
        last = own[-1].time if own else datetime.min.replace(tzinfo=UTC)
        rested = stands == 0 or now - last >= RESTS[stands] or last > now  # a clock was set back
        group = {0: 1, 1: 0}.get(stands, 2 if rested else 3)
        if group < 3 or everything:
            ranked.append(((group, stands, last, place), entry))
    return [entry for _, entry in sorted(ranked, key=lambda pair: pair[0])]


@dataclass(frozen=True, slots=True)
class Learned:
    """How one lesson's questions were answered."""

    lesson: str
    questions: int
    answered: int
    before: float
    """The mean points, 0 to 1, of the first answers to those that were answered."""
    after: float
    """… and of the latest answers to the same questions."""

    @property
    def gain(self) -> float:
        """After minus before."""
        return round(self.after - self.before, 4)


def learned(entries: Iterable[Entry], attempts: Sequence[Attempt]) -> list[Learned]:
    """For each lesson, in order."""
    lessons: dict[str, list[list[Attempt]]] = {}
    for entry in entries:
        own = [attempt for attempt in attempts if attempt.question == entry.question.id]
        lessons.setdefault(entry.lesson, []).append(own)
    return [
        Learned(
            lesson,
            len(histories),
            sum(map(bool, histories)),
            score(own[0].points for own in histories if own),
            score(own[-1].points for own in histories if own),
        )
        for lesson, histories in lessons.items()
    ]
