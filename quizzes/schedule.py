"""Choose the next questions, and measure the gain, from the attempts alone.

This is the Leitner system: a right answer moves a question one box up, a wrong one moves it back to
box 1. Questions in box 1 are due at once and come first; in higher boxes they rest longer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from quizzes.engine import score
from quizzes.progress import Attempt
from quizzes.questions import Entry

RESTS = {1: timedelta(0), 2: timedelta(days=1), 3: timedelta(days=3), 4: timedelta(days=7)}
"""Box → time from the last attempt until the question is due again."""


def find_box(attempts: Iterable[Attempt]) -> int:
    """Return the box of a question after its attempts, oldest first; 0 if there are none."""
    place = 0
    for attempt in attempts:
        place = min(max(place, 1) + 1, max(RESTS)) if attempt.correct else 1
    return place


def select_due(
    entries: Sequence[Entry], attempts: Sequence[Attempt], now: datetime, everything: bool = False
) -> list[Entry]:
    """Return the questions to ask now: missed ones, then new ones, then those whose rest is over.

    With `everything`, those that still rest follow.
    """
    ranked = []
    for place, entry in enumerate(entries):
        own = [attempt for attempt in attempts if attempt.question == entry.question.id]
        stands = find_box(own)
        last = own[-1].time if own else datetime.min.replace(tzinfo=UTC)
        rested = stands == 0 or now - last >= RESTS[stands] or last > now  # a clock was set back
        group = {0: 1, 1: 0}.get(stands, 2 if rested else 3)
        if group < 3 or everything:
            ranked.append(((group, stands, last, place), entry))
    return [entry for _, entry in sorted(ranked, key=lambda pair: pair[0])]


@dataclass(frozen=True, slots=True)
class LessonSummary:
    """The answers to one lesson's questions."""

    lesson: str
    questions: int
    answered: int
    before: float
    """Mean points, 0 to 1, of the first answers to the questions that were answered."""
    after: float
    """Mean points of the latest answers to the same questions."""

    @property
    def gain(self) -> float:
        """`after` minus `before`."""
        return round(self.after - self.before, 4)


def summarise_lessons(entries: Iterable[Entry], attempts: Sequence[Attempt]) -> list[LessonSummary]:
    """Return a summary of each lesson, in order."""
    lessons: dict[str, list[list[Attempt]]] = {}
    for entry in entries:
        own = [attempt for attempt in attempts if attempt.question == entry.question.id]
        lessons.setdefault(entry.lesson, []).append(own)
    return [
        LessonSummary(
            lesson,
            len(histories),
            sum(map(bool, histories)),
            score(own[0].points for own in histories if own),
            score(own[-1].points for own in histories if own),
        )
        for lesson, histories in lessons.items()
    ]
