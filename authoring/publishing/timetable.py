"""Timetables for teachers, computed from the lessons: `python -m authoring.publishing.timetable`.

Sections are taken in turns: the first section of every lesson, then the second of every lesson, and
so on. A short workshop still covers every idea and leaves out the ends of lessons, which no earlier
section needs. Writing tasks follow in their order while they fit, each after its lesson.
"""

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from learner.errors import LearnerError
from learner.language import LANGUAGES, _, language, speaking
from notebooks.lab.arguments import known_language, run
from notebooks.lab.lessons import Lesson, lessons_or_error

LENGTHS = (90, 210, 390)
"""Minutes: a lecture, half a day, a day."""
WELCOME, CLOSE, BREAK, LUNCH = 5, 5, 15, 60
"""Minutes."""
PRACTICE = 15
"""Minutes of the challenge are a multiple of this."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A part of the day."""

    start: int
    """Minutes since the beginning."""
    minutes: int
    kind: str
    """`welcome`, `lesson`, `tasks`, `practice`, `break`, `lunch` or `close`."""
    lesson: Lesson | None = None
    first: int = 0
    last: int = 0
    """The first and the last of its sections, or tasks, in this slot, counted from 1."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """A section, a task or a pause: never interrupted."""

    kind: str
    minutes: int
    lesson: Lesson | None = None
    number: int = 0


def timetable(lessons: Sequence[Lesson], total: int) -> list[Slot]:
    """Return the slots of a workshop of `total` minutes, without gaps.

    Raises:
        LearnerError: `total` is too short for the first section of every lesson.
    """
    pauses = _pauses(total)
    work = total - WELCOME - CLOSE - sum(minutes for _kind, minutes in pauses)
    units = _choose_units(lessons, work)
    left = work - sum(unit.minutes for unit in units)
    practice, questions = (left // PRACTICE, left % PRACTICE)
    units += [_Unit("practice", PRACTICE)] * practice
    ordered = [_Unit("welcome", WELCOME), *_insert_pauses(units, pauses)]
    ordered.append(_Unit("close", CLOSE + questions))
    slots: list[Slot] = []
    start = 0
    for (kind, lesson), group in groupby(ordered, key=lambda unit: (unit.kind, unit.lesson)):
        together = list(group)
        minutes = sum(unit.minutes for unit in together)
        slots.append(Slot(start, minutes, kind, lesson, together[0].number, together[-1].number))
        start += minutes
    return slots


def describe(slot: Slot) -> str:
    """Say what happens in a slot, in the current language."""
    if slot.lesson is not None and slot.kind == "tasks":
        titles = [task.title for task in slot.lesson.tasks[slot.first - 1 : slot.last]]
        return _("{lesson} – writing tasks: {titles}").format(
            lesson=slot.lesson.title, titles="; ".join(titles)
        )
    if slot.lesson is not None:
        count = len(slot.lesson.sections)
        if (slot.first, slot.last) == (1, count):
            return slot.lesson.title
        if slot.first == slot.last:
            return _("{lesson} – section {first} of {count}").format(
                lesson=slot.lesson.title, first=slot.first, count=count
            )
        return _("{lesson} – sections {first} to {last} of {count}").format(
            lesson=slot.lesson.title, first=slot.first, last=slot.last, count=count
        )
    return {
        "welcome": _("Welcome; everyone opens the first lesson"),
        "practice": _("The challenge, alone or in pairs"),
        "break": _("Break"),
        "lunch": _("Lunch"),
        "close": _("Questions, and what to take home"),
    }[slot.kind]


def list_left_out(lessons: Sequence[Lesson], slots: Sequence[Slot]) -> list[str]:
    """Return the titles of sections, then of tasks, that do not fit: for afterwards."""
    last = {(slot.kind, slot.lesson.name): slot.last for slot in slots if slot.lesson is not None}
    return [
        *(
            f"{lesson.title}: {section.title}"
            for lesson in lessons
            for section in lesson.sections[last.get(("lesson", lesson.name), 0) :]
        ),
        *(
            _("{lesson}: {title} (writing, {minutes} minutes)").format(
                lesson=lesson.title, title=task.title, minutes=task.minutes
            )
            for lesson in lessons
            for task in lesson.tasks[last.get(("tasks", lesson.name), 0) :]
        ),
    ]


def format_clock(minutes: int) -> str:
    """Format minutes as `1:05`."""
    return f"{minutes // 60}:{minutes % 60:02d}"


def name_length(total: int) -> str:
    """Name the length of a workshop, in the current language."""
    known = {90: _("90 minutes"), 210: _("Half a day"), 390: _("A day")}
    return known.get(total) or _("{n} minutes").format(n=total)


def _pauses(total: int) -> list[tuple[str, int]]:
    lunch = [("lunch", LUNCH)] if total >= 300 else []
    breaks = [("break", BREAK)] * ((total - LUNCH * len(lunch)) // 120)
    middle = len(breaks) // 2
    return breaks[:middle] + lunch + breaks[middle:]


def _choose_units(lessons: Sequence[Lesson], work: int) -> list[_Unit]:
    """Take sections in turns while they fit, of each lesson its first ones; then tasks in order.

    Tasks build on each other, so after the first one that does not fit there are no more.
    """
    taken: dict[str, int] = {lesson.name: 0 for lesson in lessons}
    growing = list(lessons)
    used = 0
    while growing:
        for lesson in list(growing):
            number = taken[lesson.name]
            if number == len(lesson.sections):
                growing.remove(lesson)
                continue
            minutes = math.ceil(lesson.sections[number].minutes)
            if used + minutes > work:
                if number == 0:
                    raise LearnerError(
                        _("{n} minutes are too short: not every lesson can begin.").format(n=work)
                    )
                growing.remove(lesson)
                continue
            taken[lesson.name] = number + 1
            used += minutes
    units, room = [], work - used
    for lesson in lessons:
        chosen = lesson.sections[: taken[lesson.name]]
        units += [
            _Unit("lesson", math.ceil(section.minutes), lesson, number)
            for number, section in enumerate(chosen, 1)
        ]
        for number, task in enumerate(lesson.tasks, 1):
            room -= task.minutes
            if room >= 0:
                units.append(_Unit("tasks", task.minutes, lesson, number))
    return units


def _insert_pauses(units: list[_Unit], pauses: list[tuple[str, int]]) -> list[_Unit]:
    """Insert pauses between units so that the parts of the work are as equal as possible."""
    whole = sum(unit.minutes for unit in units)
    ends = [sum(unit.minutes for unit in units[:number]) for number in range(len(units) + 1)]
    for number in reversed(range(len(pauses))):
        kind, minutes = pauses[number]
        aim = whole * (number + 1) / (len(pauses) + 1)
        place = min(range(len(ends)), key=lambda index: abs(ends[index] - aim))
        units = [*units[:place], _Unit(kind, minutes), *units[place:]]
    return units


def main() -> int:
    """Print the timetables."""
    parser = argparse.ArgumentParser(prog="timetable", description=__doc__)
    parser.add_argument("--lang", help=f"one of {', '.join(LANGUAGES)}")
    parser.add_argument("--minutes", type=int, nargs="*", default=LENGTHS)
    parser.add_argument("--start", default="0:00", help="when it begins, for example 9:30")
    options = parser.parse_args()
    with speaking(known_language(options.lang or language())):
        if not re.fullmatch(r"\d{1,2}:[0-5]\d", options.start):
            raise LearnerError(
                _("A time looks like 9:30, not like {text}.").format(text=options.start)
            )
        hours, minutes = options.start.split(":")
        begin = int(hours) * 60 + int(minutes)
        lessons = lessons_or_error(language())
        for total in options.minutes:
            slots = timetable(lessons, total)
            print(f"\n{name_length(total)}")
            for slot in slots:
                print(f"{format_clock(begin + slot.start):>6}  {slot.minutes:>3}  {describe(slot)}")
            print(f"{format_clock(begin + total):>6}")
            if rest := list_left_out(lessons, slots):
                print(_("For afterwards:"), *rest, sep="\n  ")
    return 0


if __name__ == "__main__":
    run(main)
