"""The tasks are whole: each has a stub, a solution, a check, hints, and a place in the order."""

import ast
from importlib.util import find_spec

import pytest

from challenges.minimal_service.grading.submission.description import read_description
from challenges.tasks.catalogue import LESSONS, SOLUTIONS, STUBS, Task, find, tasks
from challenges.tasks.places import digest, place, solution_of, text_of
from learner.errors import LearnerError
from learner.language import speaking

with speaking("en"):
    TASKS = tasks()
each_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)


def test_there_are_two_or_more_a_lesson_and_no_name_twice() -> None:
    names = [task.id for task in TASKS]
    assert len(set(names)) == len(names)
    assert [task.lesson for task in TASKS] == sorted(task.lesson for task in TASKS)
    assert {task.lesson for task in TASKS} <= set(LESSONS)


@each_task
def test_it_is_whole(task: Task) -> None:
    assert text_of(STUBS / task.file)
    assert solution_of(task)
    assert find_spec(f"challenges.tasks.checks.{task.id.replace('-', '_')}")
    assert len(task.hints) == 3
    assert all((task.title, task.ask, *task.hints))
    assert 3 <= task.minutes <= 30


@each_task
def test_what_it_needs_comes_before(task: Task) -> None:
    before = [other.id for other in TASKS[: TASKS.index(task)]]
    assert set(task.needs) <= set(before)


@each_task
def test_the_code_to_write_is_short(task: Task) -> None:
    """Five to twenty-five lines, or little more."""
    lines = [line for line in solution_of(task).splitlines() if line.strip()]
    assert 3 <= len(lines) <= 75


@each_task
def test_tasks_that_share_a_file_have_a_place_each(task: Task) -> None:
    sharing = [other for other in TASKS if other.file == task.file]
    if len(sharing) > 1:
        for folder in (STUBS, SOLUTIONS):
            assert place(text_of(folder / task.file), task.id), folder


@pytest.mark.parametrize("file", sorted(STUBS.glob("*.py")), ids=lambda file: file.name)
def test_a_stub_is_python_in_plain_words(file: object) -> None:
    text = text_of(STUBS / str(file))
    assert ast.get_docstring(ast.parse(text))
    assert max(map(len, text.splitlines())) <= 100


def test_the_solutions_are_a_submission() -> None:
    assert read_description(SOLUTIONS)


def test_a_name_that_is_none() -> None:
    with pytest.raises(LearnerError, match="There is no task 'sleep'"):
        find("sleep")


def test_comments_and_layout_are_no_change() -> None:
    assert digest("x = 1\n") == digest("# a number\nx  =  1  # one\n")
    assert digest("x = 1") != digest("x = 2")
    assert digest("x = (") != digest("x = [")


def test_a_place_ends_at_the_next_mark() -> None:
    text = "a\n# task: one\nb\nc\n# task: two\nd\n# end\ne\n"
    assert place(text, "one") == "b\nc\n"
    assert place(text, "two") == "d\n"
    assert place(text, "three") is None
