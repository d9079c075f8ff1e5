"""The quiz lesson: ask questions of earlier lessons again, missed ones first."""

from datetime import UTC, datetime

from IPython.display import display

from learner.language import _
from quizzes import progress, terminal
from quizzes.notebook import ask
from quizzes.questions import all_questions, find, translate
from quizzes.schedule import select_due, summarise_lessons

_asked: dict[str, int] = {}
"""Question id → number of attempts before it was asked again in this kernel."""


def ask_again(lesson: str, count: int) -> None:
    """Show questions of a lesson again: missed ones first, then new ones, then old ones.

    Below each is a link to the section that proves its answer.

    Args:
        lesson: name of the notebook, without .ipynb.
        count: the number of questions; all, if the lesson has fewer.
    """
    entries = [entry for entry in all_questions().values() if entry.lesson == lesson]
    attempts = progress.load().attempts
    for entry in select_due(entries, attempts, datetime.now(UTC), everything=True)[:count]:
        name = entry.question.id
        _asked[name] = sum(attempt.question == name for attempt in attempts)
        ask(name)
        show_link(name)


def show_link(name: str) -> None:
    """Show a link to the section that proves a question's answer, in the learner's language."""
    entry = find(name)
    text = _("The section that proves it: lesson {lesson}, {heading}").format(
        lesson=entry.notebook.split("_")[0].lstrip("0"), heading=entry.heading
    )
    shown = {"text/markdown": f"[{text}]({entry.link})", "text/plain": text}
    display(shown, raw=True)  # type: ignore[no-untyped-call]


def right_of(lesson: str) -> float:
    """Return the points of the first answers since `ask_again`; print how many are missing."""
    names = [name for name in _asked if all_questions()[name].lesson == lesson]
    loaded = progress.load()
    since = {name: loaded.of(name)[_asked[name] :] for name in names}
    if waiting := [name for name, attempts in since.items() if not attempts]:
        print(
            _("Still without an answer: {n}. Answer above, then run this cell again.").format(
                n=len(waiting)
            )
        )
    return sum(attempts[0].points for attempts in since.values() if attempts)


def show_progress() -> None:
    """Print a line per lesson: number of answers, points of the first and the latest ones, gain."""
    entries = [translate(entry) for entry in all_questions().values()]
    terminal.show_summary(summarise_lessons(entries, progress.load().attempts))
