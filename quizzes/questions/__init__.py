"""The questions, read from the TOML files in this folder, in the learner's language."""

import difflib
import functools
import random
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from learner.errors import LearnerError
from learner.language import _, pgettext
from learner.sections import find_heading
from quizzes.questions.models import (
    Answer,
    Choice,
    Number,
    One,
    Order,
    Question,
    QuestionFile,
    Several,
    Step,
)
from service.errors import write_command

__all__ = [
    "Answer",
    "Choice",
    "Entry",
    "Number",
    "One",
    "Order",
    "Question",
    "QuestionFile",
    "Several",
    "Step",
    "all_questions",
    "find",
    "messages",
    "option_order",
    "read_file",
    "translate",
]

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Entry:
    """A question and its lesson."""

    lesson: str
    """The lesson of the file, for which its points count."""
    question: Question

    @property
    def link(self) -> str:
        """A link to the section that proves the answer, in the form that lessons use."""
        return f"{self.notebook}.ipynb#cell-id={self.question.section}"

    @property
    def notebook(self) -> str:
        """The notebook of that section, without .ipynb."""
        return self.question.notebook or self.lesson

    @property
    def heading(self) -> str:
        """The heading of that section, in the learner's language; its id if it has none."""
        return find_heading(self.notebook, self.question.section) or self.question.section


def read_file(path: Path) -> QuestionFile:
    """Read a file of questions.

    Raises:
        ValueError: it is not TOML or violates the schema; the message contains file and place.
    """
    try:
        return QuestionFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{path.name}: {place}: {first['msg']}") from None
    except (ValueError, OSError) as error:
        raise ValueError(f"{path.name}: {error}") from None


def all_questions(folder: Path | None = None) -> dict[str, Entry]:
    """Return id → question in English, those of the lecture first, then lesson by lesson.

    Raises:
        LearnerError: a file cannot be used; `python -m quizzes lint` gives details.
    """
    paths = sorted((folder or FOLDER).glob("*.toml"))
    return dict(_read_all(tuple((path, path.stat().st_mtime_ns) for path in paths)))


@functools.lru_cache(maxsize=8)
def _read_all(stamped: tuple[tuple[Path, int], ...]) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for path, _changed in stamped:
        try:
            file = read_file(path)
        except ValueError as error:
            raise LearnerError(
                _("A file of questions cannot be used: {reason}").format(reason=error)
            ) from None
        for question in file.questions:
            entries.setdefault(question.id, Entry(file.lesson, question))
    return entries


def find(name: str) -> Entry:
    """Return the question with the id `name`, in the learner's language.

    Raises:
        LearnerError: there is no such question; the message contains the most similar id.
    """
    questions = all_questions()
    if name in questions:
        return translate(questions[name])
    near = difflib.get_close_matches(name, questions, n=1, cutoff=0)
    raise LearnerError(
        _(
            'There is no question "{name}". The nearest is "{near}"; all are listed by: {how}'
        ).format(name=name, near=near[0] if near else "", how=write_command("quizzes export"))
    )


def option_order(question: Question, seed: str = "") -> list[str]:
    """Return the ids of a question's options, shuffled by `seed`.

    The same seed gives the same order on every machine and Python. For a question of order, a
    right order is never returned.
    """
    if isinstance(question, Number):
        return []
    shuffled = [option.id for option in question.options]
    generator = random.Random(f"{seed}/{question.id}")
    generator.shuffle(shuffled)
    while isinstance(question, Order) and question.find_early(shuffled) is None:
        generator.shuffle(shuffled)
    return shuffled


def messages() -> Iterator[tuple[str, str]]:
    """Yield context and text of everything to be translated, for `pgettext(context, text)`.

    The context is `quiz/<question id>/<field>`; fields are `text`, `unit`, `feedback_right`,
    `feedback_wrong`, `feedback_low`, `feedback_high`, `option/<id>` and `option/<id>/feedback`.
    """
    for entry in all_questions().values():
        for field, text in _fields(entry.question):
            yield f"quiz/{entry.question.id}/{field}", text


def translate(entry: Entry) -> Entry:
    """Return the question in the learner's language."""
    question = entry.question

    def words(field: str, text: str) -> str:
        return pgettext(f"quiz/{question.id}/{field}", text)

    changes: dict[str, object] = {
        field: words(field, text) for field, text in _fields(question) if "/" not in field
    }
    if not isinstance(question, Number):
        changes["options"] = [
            option.model_copy(
                update={
                    "text": words(f"option/{option.id}", option.text),
                    "feedback": option.feedback
                    and words(f"option/{option.id}/feedback", option.feedback),
                }
            )
            for option in question.options
        ]
    return Entry(entry.lesson, question.model_copy(update=changes))


def _fields(question: Question) -> Iterator[tuple[str, str]]:
    for field in (
        "text",
        "unit",
        "feedback_right",
        "feedback_wrong",
        "feedback_low",
        "feedback_high",
    ):
        if text := getattr(question, field, ""):
            yield field, text
    if not isinstance(question, Number):
        for option in question.options:
            yield f"option/{option.id}", option.text
            if option.feedback:
                yield f"option/{option.id}/feedback", option.feedback
