"""Timetables fill their time and leave out only ends of lessons."""

import itertools
from pathlib import Path
from typing import Any

import nbformat.v4 as v4
import pytest

from authoring.publishing import timetable
from learner.errors import LearnerError
from notebooks.lab.lessons import Lesson
from tests.authoring.publishing import small_lessons


def make(*minutes: tuple[float, ...]) -> list[Lesson]:
    """Lessons with sections of these minutes."""
    made = []
    for number, sections in enumerate(minutes, 1):
        cells: list[Any] = [small_lessons.md("title", f"# {number} · Lesson")]
        cells += [
            small_lessons.md(f"s{place}", f"## Section {place}", minutes=length)
            for place, length in enumerate(sections, 1)
        ]
        notebook = v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
        made.append(Lesson(Path(f"0{number}_x.ipynb"), notebook))
    return made


LESSONS = make(*[(6, 7, 5, 6.5, 4)] * 6)


@pytest.mark.parametrize("total", [90, 120, 210, 300, 390])
def test_timetable_fills_its_time_and_gives_rest(total: int) -> None:
    slots = timetable.timetable(LESSONS, total)
    assert [slot.start for slot in slots] == [
        sum(slot.minutes for slot in slots[:number]) for number in range(len(slots))
    ]
    assert sum(slot.minutes for slot in slots) == total
    at_work = 0
    for slot in slots:
        at_work = 0 if slot.kind in ("break", "lunch") else at_work + slot.minutes
        assert at_work <= 120
    taught = [slot for slot in slots if slot.kind == "lesson"]
    for lesson in LESSONS:
        parts = [(slot.first, slot.last) for slot in taught if slot.lesson is lesson]
        assert parts[0][0] == 1
        assert all(before[1] + 1 == after[0] for before, after in itertools.pairwise(parts))
    written = [slot for slot in slots if slot.kind == "tasks"]
    known = sum(slot.last - slot.first + 1 for slot in (*taught, *written))
    tasks = sum(len(lesson.tasks) for lesson in LESSONS)
    assert known + len(timetable.list_left_out(LESSONS, slots)) == 30 + tasks
    for slot in written:
        assert slot.lesson is not None
        part = slot.lesson.tasks[slot.first - 1 : slot.last]
        assert slot.minutes == sum(task.minutes for task in part)
        assert all(task.title in timetable.describe(slot) for task in part)


def test_a_day_has_room_for_all_sections_and_first_tasks() -> None:
    slots = timetable.timetable(LESSONS, 390)
    left = timetable.list_left_out(LESSONS, slots)
    assert left
    assert all("(writing," in one for one in left)
    written = [slot.lesson for slot in slots if slot.kind == "tasks"]
    assert written[0] is LESSONS[0]


def test_enough_time_has_room_for_the_challenge_too() -> None:
    slots = timetable.timetable(LESSONS, 720)
    assert timetable.list_left_out(LESSONS, slots) == []
    assert {slot.kind for slot in slots} == {
        *("welcome", "lesson", "tasks", "break", "lunch", "practice", "close")
    }


def test_too_short_a_time_is_one_sentence() -> None:
    with pytest.raises(LearnerError, match="too short"):
        timetable.timetable(LESSONS, 30)
