"""Reads titles, sections, minutes and objectives of the lessons from their notebooks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat

from challenges.tasks.catalogue import Task, tasks
from learner.errors import LearnerError
from learner.language import _, language
from learner.terminal import padded, width

NOTEBOOKS = Path(__file__).resolve().parent.parent
_HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)
_BULLET = re.compile(r"^[-*] +(.+(?:\n {2,}.+)*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a lesson: a question, a guess, a measurement and its explanation."""

    cell: str
    """The id of its first cell."""
    title: str
    minutes: float


@dataclass(frozen=True)
class Lesson:
    """One notebook in one language."""

    path: Path
    notebook: Any

    @property
    def name(self) -> str:
        """The file name without suffix, for example `01_mindset_shift`, in all languages."""
        return self.path.stem

    @cached_property
    def title(self) -> str:
        """The first heading; without one, the file name."""
        return heading(self.notebook.cells[0].source) or self.name

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The sections in order. Each begins at a cell with `minutes` in its metadata."""
        return tuple(
            Section(cell.id, heading(cell.source) or cell.id, float(cell.metadata["minutes"]))
            for cell in self.notebook.cells
            if "minutes" in cell.metadata
        )

    @property
    def minutes(self) -> float:
        """The minutes of all sections."""
        return sum(section.minutes for section in self.sections)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The lesson's writing tasks, in order."""
        number = int(self.name[:2]) if self.name[:2].isdecimal() else None
        return tuple(task for task in tasks() if task.lesson == number)

    @property
    def task_minutes(self) -> int:
        """The minutes of the writing tasks, which `minutes` does not hold."""
        return sum(task.minutes for task in self.tasks)

    @cached_property
    def objectives(self) -> tuple[str, ...]:
        """The bullet points of the cell `objectives`, as Markdown."""
        for cell in self.notebook.cells:
            if cell.id == "objectives":
                return tuple(re.sub(r"\s+", " ", text) for text in _BULLET.findall(cell.source))
        return ()


def lessons(language: str, notebooks: Path = NOTEBOOKS) -> list[Lesson]:
    """Read the lessons of a language, in order; an empty list if there are none."""
    return list(_read(sorted((notebooks / language).glob("[0-9]*.ipynb"))))


def lessons_or_error(language: str, notebooks: Path = NOTEBOOKS) -> list[Lesson]:
    """Read the lessons of a language, in order.

    Raises:
        LearnerError: there are none.
    """
    all_lessons = lessons(language, notebooks)
    if not all_lessons:
        raise LearnerError(
            _("There are no lessons in {folder}. Run: make translations").format(
                folder=notebooks / language
            )
        )
    return all_lessons


def show_plan() -> None:
    """Print all lessons with their minutes, and those of their writing tasks."""
    rows = [(one.title, one.minutes, one.task_minutes) for one in lessons_or_error(language())]
    rows.append((_("All of it"), sum(row[1] for row in rows), sum(row[2] for row in rows)))
    column = max(width(title) for title, _minutes, _writing in rows)
    print(_("minutes: lesson + tasks"))
    for title, minutes, writing in rows:
        print(f"{padded(title, column)}  {minutes:4.0f} + {writing:3}")


def _read(paths: list[Path]) -> Iterator[Lesson]:
    for path in paths:
        try:
            notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        except (ValueError, OSError) as error:
            raise LearnerError(
                _("{file} cannot be read as a notebook: {reason}").format(file=path, reason=error)
            ) from None
        yield Lesson(path, notebook)


def heading(markdown: str) -> str:
    """Return the text of the first heading without its marks; empty if there is none."""
    match = _HEADING.search(markdown)
    return match.group(1) if match else ""
