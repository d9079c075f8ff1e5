"""The quiz for scripts: export the questions, check a file of answers.

    {"version": 1, "answers": {"question-id": ["option-id", …], "another-id": 20.5, …}}

`version` may be missing. The answer to a question of order lists all options in that order. If a
file answers one question of a lesson, the other questions of that lesson count as 0 points.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from learner.errors import LearnerError
from learner.language import _
from quizzes import words
from quizzes.engine import AnswerError, Verdict, grade, score
from quizzes.questions import Answer, Entry, Number, all_questions, find, option_order, translate
from service.errors import write_command

VERSION = 1


def export() -> dict[str, Any]:
    """Return all questions with ids and texts of their options, without the right answers."""
    return {
        "version": VERSION,
        "questions": [_export_question(translate(entry)) for entry in all_questions().values()],
    }


def read_answers(text: str) -> dict[str, Answer]:
    """Parse an answer file; return question id → answer.

    Raises:
        LearnerError: the text is not an answer file; the message says where and why.
    """
    try:
        content = json.loads(
            text, object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise LearnerError(_("no JSON: {reason}").format(reason=error)) from None
    if not isinstance(content, dict):
        raise LearnerError(_('expected an object with the key "answers"'))
    version = content.get("version", VERSION)
    if version != VERSION or isinstance(version, bool | float):
        raise LearnerError(
            _("it is of version {found}; this quiz reads version {version}").format(
                found=json.dumps(version, ensure_ascii=False), version=VERSION
            )
        )
    answers = content.get("answers")
    if not isinstance(answers, dict):
        raise LearnerError(_('expected the key "answers" with an object: question id → answer'))
    if not answers:
        raise LearnerError(
            _('"answers" is empty; the questions are listed by: {command}').format(
                command=write_command("quizzes export")
            )
        )
    return {name: _parse_answer(name, value) for name, value in answers.items()}


def check(answers: Mapping[str, Answer]) -> dict[str, Any]:
    """Grade answers, and the missing ones of the same lessons; return the result for JSON.

    Raises:
        LearnerError: an answer does not fit its question, or a question does not exist.
    """
    entries = {name: find(name) for name in answers}
    verdicts: dict[str, Verdict] = {}
    for name, entry in entries.items():
        try:
            verdicts[name] = grade(entry.question, answers[name])
        except AnswerError as error:
            raise LearnerError(
                _("question {name}: {reason}").format(name=name, reason=words.explain_misfit(error))
            ) from None
    lessons = {entry.lesson for entry in entries.values()}
    asked = [name for name, entry in all_questions().items() if entry.lesson in lessons]
    points = [verdicts[name].points if name in verdicts else 0.0 for name in asked]
    return {
        "version": VERSION,
        "score": score(points),
        "correct": all(name in verdicts and verdicts[name].correct for name in asked),
        "missing": [name for name in asked if name not in verdicts],
        "questions": {
            name: _export_verdict(entries[name], verdicts[name])
            for name in asked
            if name in verdicts
        },
    }


def read_text(path: str, standard_input: Any) -> str:
    """Read a file, or standard input for "-".

    Raises:
        LearnerError: it cannot be read.
    """
    try:
        data: bytes = standard_input.read() if path == "-" else Path(path).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise LearnerError(_("cannot be read: {reason}").format(reason=error.strerror)) from None
    except UnicodeDecodeError:
        raise LearnerError(_("no text in UTF-8")) from None


def _export_question(entry: Entry) -> dict[str, Any]:
    question = entry.question
    shown: dict[str, Any] = {
        "id": question.id,
        "lesson": entry.lesson,
        "kind": question.kind,
        "text": question.text,
        "how": words.how_to_answer(question),
        "section": entry.link,
    }
    if isinstance(question, Number):
        shown["unit"] = question.unit
    else:
        texts = {option.id: option.text for option in question.options}
        shown["options"] = [{"id": key, "text": texts[key]} for key in option_order(question)]
    return shown


def _export_verdict(entry: Entry, verdict: Verdict) -> dict[str, Any]:
    return {
        "correct": verdict.correct,
        "points": verdict.points,
        "headline": words.headline(verdict),
        "feedback": "\n".join(words.feedback(entry.question, verdict)),
        "misconceptions": list(verdict.misconceptions),
        "section": entry.link,
    }


def _parse_answer(name: str, value: object) -> Answer:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            pass
    raise LearnerError(
        _("question {name}: expected a list of option ids, or a number").format(name=name)
    )


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _value in pairs]
        raise ValueError(
            f'"{next(name for name in names if names.count(name) > 1)}" is there twice'
        )
    return content


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is not a number of JSON")
