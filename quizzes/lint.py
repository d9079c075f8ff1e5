"""Check all questions, for authors: find what misleads a learner or gives answers away."""

import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from learner.errors import LearnerError
from learner.language import CATALOGUES, LANGUAGES
from learner.sections import read_cells
from quizzes import experiments
from quizzes.questions import (
    FOLDER,
    Entry,
    One,
    Question,
    all_questions,
    messages,
    models,
    option_order,
    read_file,
)
from service.errors import write_command

LESSONS = FOLDER.parent.parent / "notebooks" / "en"
ASKED = re.compile(r"""\bask\(\s*["']([^"']*)["']""")
ASKED_AGAIN = re.compile(r"""\bask_again\(\s*["']([^"']*)["'],\s*(\d+)""")
MOST_SECONDS = 20.0
MOST_OF_ONE = 0.6
"""The largest share of questions in which the right option may be at the same position, or may be
the longest one: a learner without knowledge must not do better than chance."""
FEW = 6
"""For fewer questions, shares are not meaningful."""
TELLING = re.compile(r"(^|-)(correct|right|wrong|incorrect|true|false|distractor)(-|$)")


def lint() -> Iterator[str]:
    """Yield all problems, a line each, except those that only running the experiments shows."""
    broken = list(_check_files())
    yield from broken
    if broken:
        return
    entries = list(all_questions().values())
    yield from _check_schema()
    for entry in entries:
        yield from _check_link(entry)
        yield from _check_experiment(entry)
        yield from _check_ids(entry.question)
    yield from _check_lessons(entries)
    yield from check_spread([entry.question for entry in entries])
    yield from _check_translations()


def experiments_of(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Return experiment → the first question that uses it."""
    first: dict[str, Entry] = {}
    for entry in entries:
        first.setdefault(entry.question.evidence, entry)
    return first


def run_experiment(entry: Entry) -> Iterator[str]:
    """Run a question's experiment and yield its problems."""
    name = entry.question.evidence
    limit = MOST_SECONDS * _load_factor()
    started = time.monotonic()
    try:
        evidence = experiments.run(entry)
    except LearnerError as error:
        yield f"evidence {name}: {error}"
        return
    seconds = time.monotonic() - started
    if seconds > max(limit, MOST_SECONDS * _load_factor()):
        yield f"evidence {name}: took {seconds:.0f} s, more than {MOST_SECONDS:.0f}"
    if not evidence.shows:
        yield f"evidence {name}: says nothing"
    if not evidence.varies:
        yield f"evidence {name}: does not say which one thing it varies"


def _load_factor() -> float:
    """Return the number of busy programs per core: the limit is meant for an idle machine."""
    if not hasattr(os, "getloadavg"):
        return 1.0
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _check_files() -> Iterator[str]:
    seen: dict[str, str] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        try:
            file = read_file(path)
        except ValueError as error:
            yield str(error)
            continue
        for question in file.questions:
            if question.id in seen:
                yield f"{path.name}: question {question.id} is in {seen[question.id]}, too"
            seen[question.id] = path.name


def _check_schema() -> Iterator[str]:
    path = models.PUBLISHED
    if not path.exists() or path.read_text(encoding="utf-8") != models.schema():
        yield f"{path.name} is not current: {write_command('quizzes schema')}"


def _check_link(entry: Entry) -> Iterator[str]:
    path = LESSONS / f"{entry.notebook}.ipynb"
    kinds = {cell["id"]: cell["cell_type"] for cell in read_cells(path)}
    section = entry.question.section
    if not kinds:
        yield f"question {entry.question.id}: there is no notebook {entry.notebook}"
    elif kinds.get(section) != "markdown":
        yield f"question {entry.question.id}: {entry.notebook} has no section {section}"


def _check_experiment(entry: Entry) -> Iterator[str]:
    name = entry.question.evidence
    if experiments.find(name) is None:
        yield f"question {entry.question.id}: there is no experiment {name}"


def _check_ids(question: Question) -> Iterator[str]:
    for key in option_order(question):
        if TELLING.search(key):
            yield f"question {question.id}: the id {key} may tell the answer; export shows it"


def _check_lessons(entries: list[Entry]) -> Iterator[str]:
    """Check that lessons ask every question, by ask() or ask_again(), and no unknown one."""
    lessons: dict[str, set[str]] = {}
    for entry in entries:
        lessons.setdefault(entry.lesson, set()).add(entry.question.id)
    names: set[str] = set().union(*lessons.values())
    asked: set[str] = set()
    for path in sorted(LESSONS.glob("*.ipynb")):
        for cell in read_cells(path):
            if cell["cell_type"] != "code":
                continue
            here = set(ASKED.findall(cell["source"]))
            for lesson, count in ASKED_AGAIN.findall(cell["source"]):
                if lesson not in lessons:
                    yield f"{path.name}: cell {cell['id']} asks of {lesson}, which has no questions"
                elif int(count) >= len(lessons[lesson]):
                    here |= lessons[lesson]
            asked |= here
            for name in sorted(here - names):
                yield f"{path.name}: cell {cell['id']} asks {name}, which is no question"
    for name in sorted(names - asked):
        yield f"question {name}: no lesson asks it"


def check_spread(questions: Iterable[Question]) -> Iterator[str]:
    """Yield problems if the position or the length of options tells which is right."""
    ones = [question for question in questions if isinstance(question, One)]
    if len(ones) < FEW:
        return
    for what, order in (("in its file", _file_order), ("as exported", option_order)):
        places = Counter(order(question).index(_right(question)) for question in ones)
        place, most = places.most_common(1)[0]
        if most > MOST_OF_ONE * len(ones):
            yield f"the right option is number {place + 1} {what}, {most} of {len(ones)} times"
    longest = sum(_is_longest(question) for question in ones)
    if longest > MOST_OF_ONE * len(ones):
        yield f"the right option is the longest in {longest} of {len(ones)} questions"


def _file_order(question: One) -> list[str]:
    return [option.id for option in question.options]


def _right(question: One) -> str:
    return next(option.id for option in question.options if option.correct)


def _is_longest(question: One) -> bool:
    right = next(len(option.text) for option in question.options if option.correct)
    return all(len(option.text) < right for option in question.options if not option.correct)


def _check_translations() -> Iterator[str]:
    for code in LANGUAGES:
        path = CATALOGUES / f"{code}.po"
        if code == "en":
            continue
        if not path.exists():
            yield f"{code}: there is no catalogue"
            continue
        catalogue = _catalogue(path, code)
        missing = [
            context
            for context, text in messages()
            if (message := catalogue.get(text, context)) is None
            or not message.string
            or message.fuzzy
        ]
        if missing:
            yield f"{code}: {len(missing)} texts are not translated, first {missing[0]}"


def _catalogue(path: Path, code: str) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=code)
