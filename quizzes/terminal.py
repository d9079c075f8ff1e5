"""The quiz on the command line: in a terminal or a pipe, with or without colours."""

import re
import shutil
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from learner.language import _
from learner.numbers import format_number, read_number
from learner.terminal import BOLD, GREEN, ORANGE, can_print, coloured, padded, width, wrapped
from quizzes import experiments, progress, words
from quizzes.engine import AnswerError, Verdict, grade
from quizzes.evidence import Evidence
from quizzes.questions import Answer, Entry, Number, One, option_order
from quizzes.schedule import LessonSummary

COMES_BACK_AFTER = 3
"""A missed question is asked again after this number of other questions."""
MOST_TIMES = 3
"""A question is asked at most this often in a session."""
QUIT, SKIP = "q", ""


def session(entries: Sequence[Entry]) -> list[Verdict]:
    """Ask, grade and record, until all are answered right or skipped, or the learner quits.

    Every answer is stored before the next question, so that nothing is lost, not even by Ctrl-C.

    Returns:
        The verdicts, in order.
    """
    queue = deque(entries)
    times: dict[str, int] = {}
    given: list[Verdict] = []
    try:
        while queue:
            entry = queue.popleft()
            name = entry.question.id
            times[name] = times.get(name, 0) + 1
            print(_format_head(len(queue)))
            verdict = _ask(entry)
            if verdict is None:
                continue
            given.append(verdict)
            if not verdict.correct and times[name] < MOST_TIMES:
                queue.insert(COMES_BACK_AFTER, entry)
    except EOFError:
        print()
        _goodbye(len(given))
    except KeyboardInterrupt:
        print()
        _goodbye(len(given))
        raise
    except _QuitError:
        _goodbye(len(given))
    else:
        right = sum(verdict.correct for verdict in given)
        print(_("Done: {right} of {n} answers right.").format(right=right, n=len(given)))
    return given


def show_evidence(found: Evidence) -> None:
    """Print the sentence, then bars of text."""
    print(wrap(found.shows))
    if found.varies:
        print(wrap(words.name_variable(found)))
    figures = experiments.figures(found)
    if not figures:
        return
    print()
    most = max(*(value for _name, value, _text in figures), found.target or 0, 1e-12)
    names = max(width(name) for name, _value, _text in figures)
    room = max(10, min(40, _columns() - names - 16))
    block = "█" if can_print("█") else "#"
    for name, value, text in figures:
        bar = block * max(1 if value > 0 else 0, round(room * value / most))
        print(f"{padded(name, names)}  {bar} {text}")
    if found.target is not None:
        target = format_number(found.target, found.unit)
        print(f"{padded('', names)}  {' ' * (round(room * found.target / most) - 1)}^ " + target)


def show_summary(lessons: Sequence[LessonSummary]) -> None:
    """Print a line per lesson: number of answers, points of the first and the latest ones, gain."""
    names = max(width(lesson.lesson) for lesson in lessons)
    for lesson in lessons:
        said = _("{answered} of {n} answered").format(answered=lesson.answered, n=lesson.questions)
        if lesson.answered:
            said += "; " + _("first {before:.0f} %, latest {after:.0f} %, gain {gain:+.0f}").format(
                before=lesson.before * 100, after=lesson.after * 100, gain=lesson.gain * 100
            )
        print(f"{padded(lesson.lesson, names)}  {said}")


class _QuitError(Exception):
    """The learner quits the session."""


def _ask(entry: Entry) -> Verdict | None:
    """Ask one question until an answer fits; return None if it is skipped."""
    question = entry.question
    before = progress.load()
    keys = option_order(question, f"{before.seed}/{len(before.of(question.id))}")
    print(coloured(wrap(question.text), BOLD))
    if not isinstance(question, Number):
        texts = {option.id: option.text for option in question.options}
        for number, key in enumerate(keys, 1):
            print(wrap(texts[key], f"  {number}  "))
    print(wrap(words.how_to_answer(question)))
    while True:
        text = _read(_("Your answer (Enter skips, q ends): "))
        if text == SKIP:
            return None
        if text.lower() == QUIT:
            raise _QuitError
        answer = _read_answer(entry, text, keys)
        if answer is None:
            continue
        try:
            verdict = grade(question, answer)
        except AnswerError as error:
            print(words.explain_misfit(error))
            continue
        progress.record(question.id, answer, verdict)
        _show_verdict(entry, verdict)
        return verdict


def _read_answer(entry: Entry, text: str, keys: Sequence[str]) -> Answer | None:
    """Return the answer in a line of input; print a hint and return None if there is none."""
    if isinstance(entry.question, Number):
        number = read_number(text, entry.question.unit)
        if number is None:
            print(words.not_a_number())
        return number
    chosen = [part for part in re.split(r"[\s,;.、,]+", text) if part]
    if len(chosen) == 1 and len(chosen[0]) > 1 and len(keys) < 10 and chosen[0].isdecimal():
        chosen = list(chosen[0])  # "312" for "3 1 2"
    if not all(part.isdecimal() and 1 <= int(part) <= len(keys) for part in chosen) or not chosen:
        example = "2" if isinstance(entry.question, One) else "1 3"
        print(
            _("Answer with numbers from 1 to {n}, for example: {example}").format(
                n=len(keys), example=example
            )
        )
        return None
    return tuple(keys[int(part) - 1] for part in chosen)


def _show_verdict(entry: Entry, verdict: Verdict) -> None:
    print()
    print(coloured(words.headline(verdict), GREEN if verdict.correct else ORANGE))
    for paragraph in words.feedback(entry.question, verdict):
        print(wrap(paragraph))
    print(wrap(words.name_section(entry)))
    command = f"{_python()} -m quizzes evidence {entry.question.id}"
    print(_("Measure it here: {command}").format(command=command))
    print()


def _format_head(left: int) -> str:
    return "── " + _("{n} more after this one").format(n=left) + " ──" if can_print("─") else ""


def _goodbye(given: int) -> None:
    print(_("Stopped. Answers given: {n}. They are kept; go on whenever you like.").format(n=given))


def _read(prompt: str) -> str:
    text = input(prompt).strip()
    if not sys.stdin.isatty():
        print(text)  # a terminal shows what is typed; so should the transcript of a pipe
    return text


def wrap(text: str, first: str = "") -> str:
    """Break `text` at the terminal's width; `first` begins the first line, spaces the others."""
    return "\n".join(wrapped(text, _columns(), first))


def _python() -> str:
    """Return the command for the running Python, relative to the current folder."""
    try:
        return str(Path(sys.executable).relative_to(Path.cwd()))
    except ValueError:
        return sys.executable


def _columns() -> int:
    return min(100, shutil.get_terminal_size((80, 24)).columns)
