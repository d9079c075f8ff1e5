"""A whole class: who is where, from a folder of exported progress files.

Each learner exports one with `python -m quizzes progress --json > NAME.json`.
"""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from challenges.minimal_service.progress import Progress as Attempts
from challenges.tasks.catalogue import tasks
from challenges.tasks.progress import Progress as Written
from learner.errors import LearnerError
from learner.language import _, language
from learner.terminal import padded, printable, width
from quizzes.progress import Progress
from quizzes.questions import all_questions

EXPORT = ".venv/bin/python -m quizzes progress --json > NAME.json"
MOST_BYTES = 5_000_000
"""Largest progress file; the largest that a learner can reach has some 100 kB."""
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2em; color: #1f2933; background: #fff; }
table { border-collapse: collapse; } th, td { padding: 4px 10px; border: 1px solid #c9d1d9; }
td { text-align: right; } th[scope=row], td.text { text-align: left; }
@media (prefers-color-scheme: dark) { body { color: #e6edf3; background: #14181d; } }
"""


@dataclass(frozen=True, slots=True)
class Learner:
    """What one progress file says."""

    name: str
    """The file's name without suffix."""
    done: dict[str, tuple[int, int]]
    """Lesson's number, such as "04" → questions answered and tasks passed; how many there are."""
    score: float | None
    """Best score of the challenge; None without an attempt."""
    passed: bool
    """Whether the challenge was passed."""
    seen: datetime | None
    """The latest answer, pass or attempt."""
    lesson: str
    """The lesson of that; "" without one."""


def read_class(folder: Path) -> tuple[list[Learner], list[str]]:
    """Read all files of a folder; return the learners by name, and a line on each other file.

    Raises:
        LearnerError: there is no such folder, or no progress file in it.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise LearnerError(
            _("{folder} cannot be read as a folder: {reason}").format(
                folder=folder, reason=error.strerror
            )
        ) from None
    learners, others = [], []
    for path in paths:
        try:
            learners.append(_read(path))
        except (OSError, ValueError, TypeError, RecursionError, OverflowError) as error:
            others.append(f"{_clean(path.name)}: {_why(error)}")
    if not learners:
        raise LearnerError(
            _("No progress file lies in {folder}. A learner writes one with: {command}").format(
                folder=folder, command=EXPORT
            )
        )
    return learners, others


def show_class(learners: Sequence[Learner], others: Sequence[str]) -> None:
    """Print a table of the class, and what is no progress file."""
    heads, rows = _table(learners)
    table = [heads, *rows]
    columns = [max(width(row[at]) for row in table) for at in range(len(heads))]
    for row in table:
        cells = (padded(text, column) for text, column in zip(row, columns, strict=True))
        print(printable("  ".join(cells).rstrip()))
    for line in others:
        print(printable(_("No progress file: {what}").format(what=line)))


def class_page(learners: Sequence[Learner], others: Sequence[str]) -> str:
    """Return the same table as an HTML page, each lesson's cell as dark as it is done."""
    heads, rows = _table(learners)
    title = html.escape(_("The class"))
    lines = [
        f'<!DOCTYPE html><html lang="{language()}"><head><meta charset="utf-8">',
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1><table>",
        "<tr>" + "".join(f'<th scope="col">{html.escape(one)}</th>' for one in heads) + "</tr>",
    ]
    for learner, row in zip(learners, rows, strict=True):
        name, *cells = (html.escape(text) for text in row)
        lines.append(f'<tr><th scope="row">{name}</th>')
        for cell, (done, most) in zip(cells, learner.done.values(), strict=False):
            share = 0.6 * done / most if most else 0
            lines.append(f'<td style="background: rgb(47 143 78 / {share:.2f})">{cell}</td>')
        lines += [f'<td class="text">{cell}</td>' for cell in cells[len(learner.done) :]]
        lines.append("</tr>")
    lines.append("</table>")
    words = _("No progress file: {what}")
    lines += [f"<p>{html.escape(words.format(what=line))}</p>" for line in others]
    return "\n".join([*lines, "</body></html>", ""])


def _table(learners: Sequence[Learner]) -> tuple[list[str], list[list[str]]]:
    lessons = list(learners[0].done)
    heads = [
        _("name"),
        *(_("lesson {number}").format(number=int(lesson)) for lesson in lessons),
        _("challenge"),
        _("last seen (UTC)"),
        _("in lesson"),
    ]
    return heads, [
        [
            learner.name,
            *(f"{done}/{most}" for done, most in learner.done.values()),
            "–" if learner.score is None else f"{learner.score:.0f}{' ✓' * learner.passed}",
            f"{learner.seen:%Y-%m-%d %H:%M}" if learner.seen else "–",
            str(int(learner.lesson)) if learner.lesson else "–",
        ]
        for learner in learners
    ]


def _read(path: Path) -> Learner:
    """Return what a file says.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no progress file. (Also TypeError, RecursionError, OverflowError.)
    """
    if not path.is_file():
        raise ValueError(_("it is no file"))
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(_("it is larger than {most:.0f} MB").format(most=MOST_BYTES / 1e6))
    content: Any = json.loads(path.read_bytes())
    if not isinstance(content, dict) or "attempts" not in content:
        raise ValueError(_('expected an object with the key "attempts"'))
    quiz = Progress.model_validate(
        {key: content[key] for key in Progress.model_fields if key in content}
    )
    written = Written.model_validate(content.get("tasks", {}))
    challenge = Attempts.model_validate(content.get("challenge", {}))
    lessons = {name: entry.lesson[:2] for name, entry in all_questions().items()}
    writing = {task.id: f"{task.lesson:02}" for task in tasks()}
    answered = {one.question for one in quiz.attempts} & lessons.keys()
    done = {
        number: (
            sum(lessons[name] == number for name in answered)
            + sum(lesson == number and written.of(name).passed for name, lesson in writing.items()),
            sum(one == number for one in (*lessons.values(), *writing.values())),
        )
        for number in sorted({*lessons.values(), *writing.values()})
    }
    events = [(one.time, lessons.get(one.question, "")) for one in quiz.attempts]
    for name, lesson in writing.items():
        if (at := written.of(name).passed_at) is not None:
            events.append((at.astimezone(UTC), lesson))
    events += [(one.at.astimezone(UTC), "06") for one in challenge.attempts]
    seen, lesson = max(events, default=(None, ""))
    return Learner(
        name=_clean(path.stem),
        done=done,
        score=max((one.score for one in challenge.attempts), default=None),
        passed=any(one.passed for one in challenge.attempts),
        seen=seen,
        lesson=lesson,
    )


def _why(error: Exception) -> str:
    """Return the reason why a file is no progress file, on one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        return f"{place}: {first['msg']}"
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return _("no JSON")
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return _clean(" ".join(text.split()))[:200]


def _clean(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)
