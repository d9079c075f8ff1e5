"""What the learner has reached in the tasks: tries, passes and hints, in a file of their folder."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from challenges.tasks.catalogue import Task
from learner.folder import read_model, write_json

FILE = "tasks.json"
HONEST_TRIES = 3
"""After so many the solution may be seen without a pass."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Verdict(_Part):
    """What a check said, in the learner's language."""

    passed: bool
    expected: str = ""
    found: str = ""
    look: str = ""


class Record(_Part):
    """One task."""

    tries: tuple[str, ...] = ()
    """A digest of each version of the code that was checked, the oldest first."""
    passed_at: datetime | None = None
    """When it passed first."""
    latest: Verdict | None = None
    hints: Annotated[int, Field(ge=0)] = 0
    """How many were shown."""

    @property
    def passed(self) -> bool:
        """It passed once; what is changed later takes nothing away."""
        return self.passed_at is not None

    @property
    def may_see_solution(self) -> bool:
        """After a pass, or after enough honest tries."""
        return self.passed or len(self.tries) >= HONEST_TRIES


class Progress(_Part):
    """The content of the file, by the tasks' ids."""

    version: Literal[1] = 1
    tasks: dict[str, Record] = Field(default_factory=dict)

    def of(self, task: Task | str) -> Record:
        """What is known of a task."""
        name = task if isinstance(task, str) else task.id
        return self.tasks.get(name, Record())


def load() -> Progress:
    """What is in the learner's folder. A file that cannot be used is kept aside, with a line."""
    return read_model(FILE, Progress)


def record(task: Task, code: str, verdict: Verdict, is_try: bool) -> Record:
    """Add an outcome.

    Args:
        task: that was checked.
        code: digest of the code; the same code again is no further try.
        verdict: of the check.
        is_try: the learner had written something there.

    Raises:
        LearnerError: the folder cannot be written to.
    """
    before = load().of(task)
    tries = before.tries
    if is_try and code not in tries:
        tries = (*tries, code)
    first = datetime.now(UTC) if verdict.passed else None
    after = before.model_copy(
        update={"tries": tries, "latest": verdict, "passed_at": before.passed_at or first}
    )
    _write(task, after)
    return after


def take_hint(task: Task) -> int:
    """Go one hint further, up to the last; its number, from 1.

    Raises:
        LearnerError: the folder cannot be written to.
    """
    before = load().of(task)
    number = min(before.hints + 1, len(task.hints))
    _write(task, before.model_copy(update={"hints": number}))
    return number


def _write(task: Task, record: Record) -> None:
    before = load()
    after = before.model_copy(update={"tasks": {**before.tasks, task.id: record}})
    write_json(FILE, after.model_dump(mode="json"))
