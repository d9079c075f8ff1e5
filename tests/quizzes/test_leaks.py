"""Before an attempt nothing that ships says which answer is right."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import quizzes.questions as questions
from learner.language import LANGUAGES, speaking
from quizzes import answer_file, terminal
from quizzes.notebook import QuestionWidget, render_static
from quizzes.questions import Entry, Number, Order, all_questions, translate
from service.settings import ROOT
from tests.quizzes.conftest import SAMPLES

SHIPPED = ("*.ipynb", "*.js", "*.css", "*.html", "*.json", "*.md", "*.svg")
PLACES = ("notebooks", "quizzes", "site", "slides", "docs")
KEYS = ("correct", "misconception", "feedback", "tolerance", "right")
"""Names that would hold an answer, in data that a page gets."""


def secrets(entry: Entry) -> Iterator[str]:
    """The texts that only an attempt may show."""
    question = entry.question
    for field in ("feedback_right", "feedback_wrong", "feedback_low", "feedback_high"):
        if text := getattr(question, field, None):
            yield text
    if not isinstance(question, Number):
        yield from (option.feedback for option in question.options if option.feedback)


def all_secrets() -> set[str]:
    found: set[str] = set()
    for code in LANGUAGES:
        with speaking(code):
            for entry in all_questions().values():
                found.update(secrets(translate(entry)))
    return found


def assert_silent(text: str, hidden: set[str]) -> None:
    for secret in hidden:
        assert secret not in text
        assert json.dumps(secret)[1:-1] not in text
        assert json.dumps(secret, ensure_ascii=False)[1:-1] not in text


def test_no_shipped_file_has_a_feedback_or_a_key_to_one() -> None:
    hidden = all_secrets()
    assert len(hidden) > 9
    searched = 0
    for place in PLACES:
        for pattern in SHIPPED:
            for path in (ROOT / place).rglob(pattern):
                text = path.read_text(encoding="utf-8")
                assert_silent(text, hidden)
                searched += 1
    assert searched > 3
    print(f"{searched} files searched for {len(hidden)} texts")


def test_no_output_of_a_lesson_has_a_misconception() -> None:
    names = misconceptions()
    for path in (ROOT / "notebooks").rglob("*.ipynb"):
        content = json.loads(path.read_text(encoding="utf-8"))
        assert "widgets" not in content["metadata"], f"{path.name}: strip the widgets' state"
        outputs = json.dumps([cell.get("outputs", []) for cell in content["cells"]])
        assert not [name for name in names if f'"{name}"' in outputs]
        assert '"correct"' not in outputs.replace("\\", "")


def misconceptions() -> set[str]:
    found: set[str] = set()
    for entry in all_questions().values():
        question = entry.question
        if not isinstance(question, Number | Order):
            found.update(o.misconception for o in question.options if o.misconception)
        else:
            found.add(question.misconception)
    return found


def keys_in(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield str(key)
            yield from keys_in(value)
    elif isinstance(content, list):
        for value in content:
            yield from keys_in(value)


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("folder", [questions.FOLDER, SAMPLES], ids=["all", "samples"])
def test_neither_export_nor_page_nor_widget_tells(
    folder: Path, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "FOLDER", folder)
    hidden = all_secrets() | misconceptions()
    with speaking(code):
        exported = answer_file.export()
        views = {name: QuestionWidget(entry) for name, entry in both().items()}
        pages = [render_static(entry) for entry in both().values()]
    for content in (exported, [view.get_state() for view in views.values()]):
        assert not [key for key in keys_in(content) if any(word in key for word in KEYS)]
    state = json.dumps(
        [
            {key: value for key, value in view.get_state().items() if key not in ("_esm", "_css")}
            for view in views.values()
        ]
    )
    for text in (json.dumps(exported), state, *pages, *(v.view["text"] for v in views.values())):
        assert_silent(text, hidden)
    for view in views.values():
        assert view.view["verdict"] is None
        assert view.view["evidence"] is None


def both() -> dict[str, Entry]:
    return {name: translate(entry) for name, entry in all_questions().items()}


def test_an_order_to_be_found_is_shown_nowhere(samples: Path) -> None:
    entry = all_questions()["sample-order"]
    assert isinstance(entry.question, Order)
    right = [option.id for option in entry.question.options]
    texts = [option.text for option in entry.question.options]
    exported = next(q for q in answer_file.export()["questions"] if q["id"] == "sample-order")
    assert [option["id"] for option in exported["options"]] != right
    assert [option["id"] for option in QuestionWidget(entry).view["options"]] != right
    page = render_static(entry)
    assert sorted(texts, key=page.index) != texts


def test_the_widgets_program_knows_no_question() -> None:
    program = (ROOT / "quizzes" / "widget.js").read_text()
    for entry in all_questions().values():
        assert entry.question.id not in program
    for forbidden in ("http:", "https:", "import ", "eval", "innerHTML", "localStorage"):
        assert forbidden not in program


def test_the_command_line_tells_nothing_before_an_answer(
    samples: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("builtins.input", lambda _prompt: "")  # skips
    terminal.session(list(all_questions().values()))
    assert_silent(capsys.readouterr().out, all_secrets() | misconceptions())


def test_a_refused_answer_tells_nothing(samples: Path) -> None:
    for entry in all_questions().values():
        for sent in ([], ["nothing"], None, 7, "x", {"a": 1}, [["apple"]], ["apple", "brick"]):
            widget = QuestionWidget(entry)
            widget._receive(widget, {"do": "answer", "answer": sent}, [])
            if widget.view["verdict"] is None:
                assert widget.view["problem"]
                assert_silent(json.dumps(widget.view), all_secrets() | misconceptions())
            else:
                assert entry.question.id == "sample-number"
                assert sent == 7
