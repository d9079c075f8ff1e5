"""What the commands of the tasks print."""

import shutil
from pathlib import Path

from challenges.tasks import progress
from challenges.tasks.catalogue import Task, tasks
from challenges.tasks.engine import Outcome, own_folder
from challenges.tasks.places import solution_of
from challenges.tasks.progress import HONEST_TRIES, Record, Verdict
from learner.errors import LearnerError
from learner.language import _
from learner.paths import ROOT
from learner.terminal import GREEN, ORANGE, can_print, coloured, padded, printable, width, wrapped
from service.errors import write_command

PROGRAM = write_command("challenges")
MOST_COLUMNS = 100
_MARKS = {"passed": "✓", "tried": "✗", "open": "–"}
_ASCII_MARKS = {"passed": "+", "tried": "x", "open": "-"}


def show_task(task: Task) -> None:
    """Print what a task asks, and where it is written."""
    print(heading(task))
    _tell(task.ask)
    print(_("Write it in {file}").format(file=shown(own_folder() / task.file)))


def heading(task: Task) -> str:
    """A task's title, with its lesson and the time that it takes."""
    return _("{title} (lesson {lesson}, about {minutes} minutes)").format(
        title=task.title, lesson=task.lesson, minutes=task.minutes
    )


def shown(path: Path) -> str:
    """A path as it is typed in the workshop's folder."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def show_outcome(task: Task, outcome: Outcome) -> None:
    """Print a verdict, with what the code printed before it."""
    for line in outcome.printed:
        print(printable(f"  | {line}"))
    print(coloured(verdict_heading(outcome.verdict), _colour(outcome.verdict)))
    for name, text in parts(outcome.verdict):
        _tell(text, f"  {name}: ")
    print(further(task, progress.load().of(task)))


def verdict_heading(verdict: Verdict) -> str:
    """The verdict in a word or two."""
    return _("Passed.") if verdict.passed else _("Not yet.")


def parts(verdict: Verdict) -> list[tuple[str, str]]:
    """What a verdict says, each with its name."""
    if verdict.passed:
        return []
    return [
        (_("Expected"), verdict.expected),
        (_("Found"), verdict.found),
        (_("Look at"), verdict.look),
    ]


def further(task: Task, record: Record) -> str:
    """What may be asked for next: a hint, or the solution."""
    return next_step(task, record).format(
        hint=f"{PROGRAM} task {task.id} --hint", solution=f"{PROGRAM} task {task.id} --solution"
    )


def next_step(task: Task, record: Record) -> str:
    """The sentence for it, with {hint} or {solution} to be filled in: how to ask for that."""
    if record.latest is not None and record.latest.passed:
        return _("Compare it with the solution: {solution}")
    if record.may_see_solution and record.hints >= len(task.hints):
        return _("The solution is open: {solution}")
    return _("A hint: {hint}")


def show_hint(task: Task, number: int) -> None:
    """Print a hint; as code is printed, if it is the last one."""
    print(
        _("{title}, hint {number} of {most}").format(
            title=task.title, number=number, most=len(task.hints)
        )
    )
    for line in task.hints[number - 1].splitlines():
        if line.startswith(" "):
            print(printable(line))  # code is not wrapped
        else:
            _tell(line)


def open_solution(task: Task, record: Record) -> str:
    """The solution's code.

    Raises:
        LearnerError: it is not open yet.
    """
    if not record.may_see_solution:
        sentence = _(
            "The solution opens after a pass, or after {needed} tries that each have changed code. "
            "So far you have made {made}. A hint: {command}"
        )
        raise LearnerError(
            sentence.format(
                needed=HONEST_TRIES,
                made=len(record.tries),
                command=f"{PROGRAM} task {task.id} --hint",
            )
        )
    return solution_of(task)


def show_tasks() -> None:
    """Print all tasks with what is done, lesson by lesson."""
    found = progress.load()
    marks = _MARKS if can_print("".join(_MARKS.values())) else _ASCII_MARKS
    known = tasks()
    column = max((width(task.id) for task in known), default=0) + 2
    lesson = 0
    for task in known:
        if task.lesson != lesson:
            lesson = task.lesson
            print(_("Lesson {number}").format(number=lesson))
        record = found.of(task)
        state = "passed" if record.passed else "tried" if record.tries else "open"
        print(printable(f"  {marks[state]} {padded(task.id, column)}{task.title}"))
    print(summary(known, found))


def summary(known: list[Task], found: progress.Progress) -> str:
    """How many tasks have passed, and which comes next."""
    done = [task for task in known if found.of(task).passed]
    text = _("Tasks passed: {n} of {all}").format(n=len(done), all=len(known))
    left = [task for task in known if task not in done]
    if not left:
        return text
    command = f"{PROGRAM} task {left[0].id}"
    return text + "\n" + _("The next one: {command}").format(command=command)


def _colour(verdict: Verdict) -> str:
    return GREEN if verdict.passed else ORANGE


def _tell(text: str, first: str = "") -> None:
    columns = min(shutil.get_terminal_size().columns, MOST_COLUMNS)
    for line in wrapped(text, columns, first):
        print(printable(line))
