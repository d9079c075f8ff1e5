"""Every lesson keeps the rules, and each rule finds planted violations."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from notebooks.lab.lessons import Lesson, lessons
from service.settings import ROOT
from tests.authoring.publishing import small_lessons
from tests.notebooks import originals, rules

ENGLISH = lessons("en")
SERVICE = originals.read_folder(ROOT / "service")


def test_lessons_are_numbered_from_0_in_each_language() -> None:
    names = [lesson.name for lesson in ENGLISH]
    assert [name[:2] for name in names] == [f"{number:02}" for number in range(len(names))]
    assert len(names) == 9
    for code in ("ja", "id"):
        assert [lesson.name for lesson in lessons(code)] == names


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("lesson", ENGLISH, ids=lambda lesson: lesson.name)
def test_lesson_keeps(lesson: Lesson, rule: rules.Rule) -> None:
    assert not list(rule(lesson))


@pytest.mark.parametrize("lesson", ENGLISH, ids=lambda lesson: lesson.name)
def test_lesson_links_to_its_neighbours(lesson: Lesson) -> None:
    place = ENGLISH.index(lesson)
    for neighbour in (*ENGLISH[max(0, place - 1) : place], *ENGLISH[place + 1 : place + 2]):
        for cell in (lesson.notebook.cells[0], lesson.notebook.cells[-1]):
            assert f"({neighbour.path.name})" in cell.source, f"{cell.id}: {neighbour.name}"


@pytest.mark.parametrize("lesson", ENGLISH, ids=lambda lesson: lesson.name)
def test_lesson_retypes_nothing_of_the_service(lesson: Lesson) -> None:
    for cell in rules.code_cells(lesson):
        assert not list(originals.find_duplicates(cell.source, SERVICE)), cell.id


def cell(notebook: Any, name: str) -> Any:
    return next(cell for cell in notebook.cells if cell.id == name)


def set_source(name: str, source: str) -> Callable[[Any], object]:
    return lambda notebook: cell(notebook, name).update(source=source)


FAULTS: dict[str, tuple[rules.Rule, Callable[[Any], object]]] = {
    "a changed cell with old outputs": (
        rules.outputs_are_of_this_source,
        set_source("count", "1 + 2"),
    ),
    "a cell that was not run": (
        rules.was_run_in_order,
        lambda notebook: cell(notebook, "count").update(execution_count=None),
    ),
    "cells run out of order": (
        rules.was_run_in_order,
        lambda notebook: cell(notebook, "setup").update(execution_count=9),
    ),
    "long code": (rules.code_is_short, set_source("count", "1\n" * 26)),
    "long cells": (
        rules.code_is_short,
        lambda notebook: [one.update(source="1\n" * 9) for one in notebook.cells],
    ),
    "long prose": (rules.prose_is_short, set_source("explain-tail", "word " * 121)),
    "an explanation without a reason": (
        rules.reasons_are_given,
        set_source("explain-tail", "The tail is long. It is what people remember."),
    ),
    "no common mistake": (
        rules.mistakes_are_folded_boxes,
        set_source("explain-tail", "They count, because people remember them."),
    ),
    "a mistake told too early": (
        rules.mistakes_are_folded_boxes,
        set_source("tail", small_lessons.MISTAKE),
    ),
    "a box of a different build": (
        rules.mistakes_are_folded_boxes,
        set_source("explain-tail", small_lessons.MISTAKE.replace("\n", "\n\n")),
    ),
    "a long box": (
        rules.mistakes_are_folded_boxes,
        set_source("explain-tail", small_lessons.MISTAKE.replace("few", "few " * 61)),
    ),
    "a mistake that only the speaker sees": (
        rules.mistakes_are_folded_boxes,
        lambda notebook: cell(notebook, "tail").metadata.update(
            speaker_notes="Expected misconception: the mean says it."
        ),
    ),
    "few reasons": (rules.reasons_are_given, set_source("recap", "word " * 400)),
    "an exemption without a reason": (
        rules.exemptions_are_few_and_reasoned,
        lambda notebook: cell(notebook, "measure-tail").metadata.pop("measured"),
    ),
    "too many exemptions": (
        rules.exemptions_are_few_and_reasoned,
        lambda notebook: cell(notebook, "count").metadata.update(
            tags=["nbval-ignore-output"], measured="so"
        ),
    ),
    "an exemption by a comment": (
        rules.exemptions_are_few_and_reasoned,
        set_source("count", "# NBVAL_IGNORE_OUTPUT\n1 + 1"),
    ),
    "a guess never asked for": (
        rules.guesses_come_first_and_are_shown,
        set_source("measure-tail", "value = 20"),
    ),
    "a guess never shown": (
        rules.guesses_come_first_and_are_shown,
        set_source("measure-tail", 'guess = guess_of("tail")'),
    ),
    "a guess made too late": (
        rules.guesses_come_first_and_are_shown,
        set_source("setup", 'guess = guess_of("tail")'),
    ),
    "somebody's guess stored": (
        rules.guesses_come_first_and_are_shown,
        set_source("predict-tail", 'predict("tail", guess=3, default=12, unit="ms")'),
    ),
    "a figure without words": (
        rules.pictures_have_words,
        set_source("tail", "![](figures/arrow.svg)"),
    ),
    "a plot without words": (
        rules.pictures_have_words,
        lambda notebook: (
            cell(notebook, "measure-tail")
            .outputs[0]
            .data.update({"text/html": '<img src="data:,">'})
        ),
    ),
    "a bare picture": (
        rules.pictures_have_words,
        lambda notebook: (
            cell(notebook, "measure-tail")
            .outputs[0]
            .update(data={"image/png": "", "text/plain": "<Figure>"})
        ),
    ),
    "wrong minutes": (
        rules.minutes_add_up,
        lambda notebook: cell(notebook, "sum").metadata.update(minutes=9),
    ),
    "no recap": (rules.parts_are_there, lambda notebook: notebook.cells.pop(-2)),
    "a link to nowhere": (rules.links_resolve, set_source("next", "[x](07_none.ipynb)")),
    "a link to no cell": (rules.links_resolve, set_source("next", "[x](#cell-id=none)")),
    "a link to no term": (rules.links_resolve, set_source("next", "[x](glossary.md#none)")),
    "a link out of the lessons": (rules.links_resolve, set_source("next", "[x](../a.py)")),
    "state of widgets": (
        rules.nothing_else_is_stored,
        lambda notebook: notebook.metadata.update(widgets={}),
    ),
    "a formula": (rules.there_is_no_maths, set_source("recap", "Let $x = 1$.")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_rule_finds(fault: str, tmp_path: Path) -> None:
    rule, change = FAULTS[fault]
    small_lessons.write(tmp_path, ("en",))
    lesson = lessons("en", tmp_path)[0]
    assert not list(rule(lesson))
    change(lesson.notebook)
    assert list(rule(Lesson(lesson.path, lesson.notebook)))


@pytest.mark.parametrize(
    "source",
    [
        "class Preprocessing:\n    pass",
        'text = """\ndef warm_up_and_check(): ...\nclass Preprocessing: ...\n"""',
    ],
)
def test_a_retyped_name_is_found(source: str) -> None:
    known = originals.definitions("class Preprocessing:\n    size = 1")
    assert list(originals.find_duplicates(source, known))


def test_a_retyped_body_is_found_under_another_name() -> None:
    original = (ROOT / "service" / "preprocessing.py").read_text()
    longest = max(originals.definitions(original), key=lambda one: len(one.body))
    longest.name = "my_own_idea"
    assert list(originals.find_duplicates(ast.unparse(longest), SERVICE))
