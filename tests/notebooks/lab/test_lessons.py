"""Lessons are read from notebooks: titles, sections, minutes, objectives."""

from pathlib import Path

import pytest

from challenges.tasks.catalogue import tasks
from learner.errors import LearnerError
from learner.language import speaking
from notebooks.lab.lessons import (
    Lesson,
    Section,
    heading,
    lessons,
    lessons_or_error,
    show_plan,
)
from tests.authoring.publishing import small_lessons


@pytest.fixture
def notebooks(tmp_path: Path) -> Path:
    return small_lessons.write(tmp_path, ("en", "ja"))


def test_lessons_are_read_in_order(notebooks: Path) -> None:
    first, second = lessons("en", notebooks)
    assert (first.name, second.name) == small_lessons.NAMES
    assert first.title == small_lessons.TITLES["en"][0]
    assert [lesson.title for lesson in lessons("ja", notebooks)] == [*small_lessons.TITLES["ja"]]


def test_sections_begin_where_minutes_stand(notebooks: Path) -> None:
    lesson = lessons("en", notebooks)[0]
    assert lesson.sections == (
        Section("tail", "1. How long is the tail?", 4),
        Section("sum", "2. What is one plus one?", 3),
    )
    assert lesson.minutes == 7


def test_objectives_are_the_bullet_points(notebooks: Path) -> None:
    lesson = lessons("en", notebooks)[0]
    assert lesson.objectives == ("**guess** `a`", "measure", "explain")
    lesson.notebook.cells[1].source = "- one\n  that goes on\n* another"
    assert list(Lesson(lesson.path, lesson.notebook).objectives) == ["one that goes on", "another"]


def test_plan_adds_up_lessons_and_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    known = lessons("en")
    with speaking("en"):
        show_plan()
    _heading, *rows, whole = capsys.readouterr().out.splitlines()
    assert [row.partition("  ")[0] for row in rows] == [lesson.title for lesson in known]
    minutes, writing = ([int(row.split()[at]) for row in rows] for at in (-3, -1))
    assert whole.split()[-3:] == [str(sum(minutes)), "+", str(sum(writing))]
    assert known[0].task_minutes == 0
    assert known[1].task_minutes == sum(task.minutes for task in tasks() if task.lesson == 1) > 0


def test_a_language_without_lessons_is_an_error_that_says_so(notebooks: Path) -> None:
    assert lessons("id", notebooks) == []
    with speaking("en"), pytest.raises(LearnerError, match=r"There are no lessons in .*id"):
        lessons_or_error("id", notebooks)


def test_a_damaged_notebook_is_one_sentence(notebooks: Path) -> None:
    (notebooks / "en" / "03_third.ipynb").write_text("{")
    with speaking("en"), pytest.raises(LearnerError, match=r"03_third\.ipynb cannot be read"):
        lessons("en", notebooks)


@pytest.mark.parametrize(
    ("markdown", "text"), [("# A\n## B", "A"), ("text\n\n### C  \n", "C"), ("#no", ""), ("", "")]
)
def test_the_first_heading_counts(markdown: str, text: str) -> None:
    assert heading(markdown) == text
