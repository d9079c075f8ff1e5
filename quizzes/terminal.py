"""The quiz on a command line: in a terminal, in a pipe, with colours or without."""

import re
import shutil
import sys
import unicodedata
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from learner.language import _
from learner.numbers import format_number, read_number
from learner.terminal import can_print, coloured, padded
from learner.terminal import width as width
from quizzes import experiments, progress, words
from quizzes.engine import AnswerError, Verdict, grade
from quizzes.evidence import Evidence
from quizzes.questions import Answer, Entry, Number, One, option_order
from quizzes.schedule import Learned

GREEN, ORANGE, BOLD = "32", "33", "1"
COMES_BACK_AFTER = 3
"""A missed question comes back after so many others of the same session,"""
MOST_TIMES = 3
"""so often in all."""
QUIT, SKIP = "q", ""


def session(entries: Sequence[Entry]) -> list[Verdict]:
    """Ask, grade and record, until all are right, or skipped, or the learner has had enough.

    Every answer is in the learner's folder before the next question: whenever this ends, by
    Ctrl-C too, nothing is lost.
    """
    queue = deque(entries)
    times: dict[str, int] = {}
    given: list[Verdict] = []
    try:
        while queue:
            entry = queue.popleft()
            name = entry.question.id
            times[name] = times.get(name, 0) + 1
            print(_head(len(queue)))
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
    except _EnoughError:
        _goodbye(len(given))
    else:
        right = sum(verdict.correct for verdict in given)
        print(_("Done: {right} of {n} answers right.").format(right=right, n=len(given)))
    return given


def show_evidence(found: Evidence) -> None:
    """The sentence, then bars of text."""
    print(wrapped(found.shows))
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


def show_learned(lessons: Sequence[Learned]) -> None:
    """A line a lesson: how many answered, the first and the latest answers' points, the gain."""
    names = max(width(lesson.lesson) for lesson in lessons)
    for lesson in lessons:
        said = _("{answered} of {n} answered").format(answered=lesson.answered, n=lesson.questions)
        if lesson.answered:
            said += "; " + _("first {before:.0f} %, latest {after:.0f} %, gain {gain:+.0f}").format(
                before=lesson.before * 100, after=lesson.after * 100, gain=lesson.gain * 100
            )
        print(f"{padded(lesson.lesson, names)}  {said}")


class _EnoughError(Exception):
    """The learner ends the session."""


def _ask(entry: Entry) -> Verdict | None:
    """One question, until it has an answer that fits; None if it was skipped."""
    question = entry.question
    before = progress.load()
    keys = option_order(question, f"{before.seed}/{len(before.of(question.id))}")
    print(coloured(wrapped(question.text), BOLD))
    if not isinstance(question, Number):
        texts = {option.id: option.text for option in question.options}
        for number, key in enumerate(keys, 1):
            print(wrapped(texts[key], f"  {number}  "))
    print(wrapped(words.how_to_answer(question)))
    while True:
        text = _read(_("Your answer (Enter skips, q ends): "))
        if text == SKIP:
            return None
        if text.lower() == QUIT:
            raise _EnoughError
        answer = _understood(entry, text, keys)
        if answer is None:
            continue
        try:
            verdict = grade(question, answer)
        except AnswerError as error:
            print(words.unfit(error))
            continue
        progress.record(question.id, answer, verdict)
        _show_verdict(entry, verdict)
        return verdict


def _understood(entry: Entry, text: str, keys: Sequence[str]) -> Answer | None:
    """The answer that a line means; None, and a line back, where it means none."""
    if isinstance(entry.question, Number):
        number = read_number(text, entry.question.unit)
        if number is None:
            print(words.no_number())
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
        print(wrapped(paragraph))
    print(wrapped(words.where(entry)))
    command = f"{_python()} -m quizzes evidence {entry.question.id}"
    print(_("Measure it here: {command}").format(command=command))
    print()


def _head(left: int) -> str:
    return "── " + _("{n} more after this one").format(n=left) + " ──" if can_print("─") else ""


def _goodbye(given: int) -> None:
    print(_("Stopped. Answers given: {n}. They are kept; go on whenever you like.").format(n=given))


def _read(prompt: str) -> str:
    text = input(prompt).strip()
    if not sys.stdin.isatty():
        print(text)  # a terminal shows what is typed; a pipe's transcript should, too
    return text


def wrapped(text: str, first: str = "") -> str:
    """`text` in lines of the terminal's width; `first` begins the first, spaces the others."""
    lines, line = [], first
    for piece in _pieces(text):
        if width(line + piece.rstrip()) > _columns() and line.strip() != first.strip():
            lines.append(line.rstrip())
            line = " " * width(first)
        line += piece
    return "\n".join([*lines, line.rstrip()])


def _pieces(text: str) -> Iterator[str]:
    """Where a line may break: after a space, and before an ideograph (not before 、。)」)."""
    piece = ""
    for sign in text:
        wide = unicodedata.east_asian_width(sign) in "FW"
        closing = unicodedata.category(sign) in ("Pe", "Pf", "Po", "Lm")
        if piece and (piece[-1] == " " or (wide and not closing)) and sign != " ":
            yield piece
            piece = ""
        piece += sign
    if piece:
        yield piece


def _python() -> str:
    """The running Python, as it can be typed in the current folder."""
    try:
        return str(Path(sys.executable).relative_to(Path.cwd()))
    except ValueError:
        return sys.executable


def _columns() -> int:
    return min(100, shutil.get_terminal_size((80, 24)).columns)
