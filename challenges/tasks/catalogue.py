"""The writing tasks, in the order in which the service grows."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from learner.errors import LearnerError
from learner.language import _

HERE = Path(__file__).resolve().parent
STUBS, SOLUTIONS = HERE / "stubs", HERE / "solutions"
LESSONS = (1, 2, 3, 4, 6, 7, 8)
"""Those with tasks; `lessons/lesson_N.py` has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A piece of the service that the learner writes. All texts are in the learner's language."""

    id: str
    lesson: int
    file: str
    """In the learner's folder, `my_work/service`."""
    title: str
    ask: str
    """What to write, in one to three sentences."""
    minutes: int
    """That it takes, about."""
    hints: tuple[str, str, str]
    """The concept, the place, nearly the code."""
    needs: tuple[str, ...] = ()
    """Tasks that must have passed before."""
    seconds: int = 60
    """After which its check is ended. (A check takes a few; a busy machine makes it many.)"""


def tasks() -> list[Task]:
    """All of them, in order, in the learner's language."""
    found: list[Task] = []
    for lesson in LESSONS:
        module = import_module(f"challenges.tasks.lessons.lesson_{lesson}")
        found += module.tasks()
    return found


def find(name: str) -> Task:
    """The task with that id.

    Raises:
        LearnerError: there is none.
    """
    known = tasks()
    for task in known:
        if task.id == name:
            return task
    sentence = _("There is no task {name!r}. Choose one of: {names}")
    raise LearnerError(sentence.format(name=name, names=", ".join(task.id for task in known)))
