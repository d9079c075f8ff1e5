"""Tasks of lesson 3: what is shipped, and how it is built."""

from challenges.tasks.catalogue import Task


def tasks() -> list[Task]:
    """The lesson's tasks, in order."""
    return []
