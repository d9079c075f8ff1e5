"""Folders as a learner has them: solved as far as they got, or all but for one place."""

import shutil
from pathlib import Path

from challenges.tasks.catalogue import SOLUTIONS, STUBS, Task, tasks
from challenges.tasks.places import place, text_of

CACHES = shutil.ignore_patterns("__pycache__", "artifact", ".*")


def solved(folder: Path) -> Path:
    """All solutions."""
    return Path(shutil.copytree(SOLUTIONS, folder, ignore=CACHES))


def grown(upto: Task, folder: Path) -> Path:
    """What a learner has after this task: it and those before it are solved, the others are not."""
    shutil.copytree(STUBS, folder, ignore=CACHES)
    for task in tasks():
        file = folder / task.file
        own, solution = text_of(file), text_of(SOLUTIONS / task.file)
        mine, whole = place(own, task.id), place(solution, task.id)
        if mine is None or whole is None:
            file.write_text(solution, "utf-8")
        else:
            file.write_text(own.replace(mine, whole), "utf-8")
        if task.id == upto.id:
            break
    return folder


def unsolved(task: Task, folder: Path) -> Path:
    """All solutions, but for this task: there the stub still stands."""
    solved(folder)
    file = folder / task.file
    stub, solution = text_of(STUBS / task.file), text_of(SOLUTIONS / task.file)
    mine, whole = place(stub, task.id), place(solution, task.id)
    if mine is None or whole is None:
        file.write_text(stub, "utf-8")
    else:
        assert whole in solution
        file.write_text(solution.replace(whole, mine), "utf-8")
    return folder


def edited(task: Task, folder: Path, old: str, new: str) -> Path:
    """All solutions, with one piece of the task's file replaced."""
    file = solved(folder) / task.file
    text = text_of(file)
    assert text.count(old) == 1, f"{task.file} has {text.count(old)} times {old!r}"
    file.write_text(text.replace(old, new), "utf-8")
    return folder
