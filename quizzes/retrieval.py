"""For the quiz lesson: what a lesson left behind is asked again, missed questions first."""

from datetime import UTC, datetime

from IPython.display import display

from learner.language import _
from quizzes import progress, terminal
from quizzes.notebook import ask
from quizzes.questions import all_questions, find, translated
from quizzes.schedule import due, learned

_asked: dict[str, int] = {}
"""In this kernel: id → attempts there were before it was asked again."""


def ask_again(lesson: str, count: int) -> None:
    """Show `count` of a lesson's questions: missed ones first, then new ones, then rested ones.

    Under each stands a link to the section that proves its answer.

    Args:
        lesson: name of the notebook, without .ipynb.
        count: how many; all, if the lesson has fewer.
    """
    entries = [entry for entry in all_questions().values() if entry.lesson == lesson]
    attempts = progress.load().attempts
    for entry in due(entries, attempts, datetime.now(UTC), everything=True)[:count]:
        name = entry.question.id
        _asked[name] = sum(attempt.question == name for attempt in attempts)
        ask(name)
        show_link(name)


def show_link(name: str) -> None:
    """A link to the section that proves a question's answer, in the learner's language."""
    entry = find(name)
    text = _("The section that proves it: {heading}").format(heading=entry.heading)
    shown = {"text/markdown": f"[{text}]({entry.link})", "text/plain": text}
    display(shown, raw=True)  # type: ignore[no-untyped-call]


def right_of(lesson: str) -> float:
    """Points of the first answers since `ask_again`; says so, if a question has none yet."""
    names = [name for name in _asked if all_questions()[name].lesson == lesson]
    found = progress.load()
    since = {name: found.of(name)[_asked[name] :] for name in names}
    if waiting := [name for name, attempts in since.items() if not attempts]:
        print(
            _("Still without an answer: {n}. Answer above, then run this cell again.").format(
                n=len(waiting)
            )
        )
    return sum(attempts[0].points for attempts in since.values() if attempts)


def show_progress() -> None:
    """A line a lesson: how many were answered, the points at first and of late, the gain."""
    entries = [translated(entry) for entry in all_questions().values()]
    terminal.show_learned(learned(entries, progress.load().attempts))
