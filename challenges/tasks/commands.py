"""The commands of the tasks: `python -m challenges task NAME`, `tasks`, `progress`."""

import argparse
from typing import Any

from challenges.tasks import display, engine, progress
from challenges.tasks.catalogue import Task, find
from challenges.tasks.places import is_written
from learner.language import _


def add_commands(subparsers: Any) -> None:
    """Add them to those of `python -m challenges`; `progress` is there already, and grows."""
    words = _("check what you wrote for a task; without a change of yours, say what it asks")
    task = subparsers.add_parser("task", help=words, description=words)
    task.add_argument("name", help=_("the task's name; `tasks` lists them"))
    more = task.add_mutually_exclusive_group()
    more.add_argument("--hint", action="store_true", help=_("one more hint"))
    more.add_argument("--solution", action="store_true", help=_("the solution, if it is open"))
    task.set_defaults(do=_task)
    words = _("list the writing tasks, with what is done")
    listed = subparsers.add_parser("tasks", help=words, description=words)
    listed.set_defaults(do=_tasks)
    subparsers.choices["progress"].set_defaults(do=_progress)


def _task(options: argparse.Namespace) -> int:
    task = find(options.name)
    _lay_out()
    if options.hint:
        display.show_hint(task, progress.take_hint(task))
        return 0
    if options.solution:
        print(display.open_solution(task, progress.load().of(task)), end="")
        return 0
    display.show_task(task)
    if not is_written(task, engine.own_folder()):
        _show_how(task)
        return 0
    print(_("Checking …"), flush=True)
    outcome = engine.check(task)
    display.show_outcome(task, outcome)
    return 0 if outcome.verdict.passed else 1


def _lay_out() -> None:
    if made := engine.lay_out():
        sentence = _("New in {folder}, to be written by you: {files}")
        folder = display.shown(engine.own_folder())
        print(sentence.format(folder=folder, files=", ".join(made)))


def _show_how(task: Task) -> None:
    command = f"{display.PROGRAM} task {task.id}"
    print(_("Then check it: {command}").format(command=command))


def _tasks(_options: argparse.Namespace) -> int:
    display.show_tasks()
    return 0


def _progress(_options: argparse.Namespace) -> int:
    show_work()
    return 0


def show_work() -> None:
    """Show what was written for the tasks and the challenge, one below the other."""
    from challenges.minimal_service import display as challenge
    from challenges.minimal_service import progress as attempts

    print(_("# Tasks"))
    display.show_tasks()
    print("\n" + _("# Challenge"))
    challenge.show_progress(attempts.load())
