"""Every verdict is the same, in the same words, in all three faces and all languages."""

import builtins
import json
import random
from pathlib import Path
from typing import Any

import pytest

import quizzes.questions as questions
from learner.language import LANGUAGES, speaking
from quizzes import terminal
from quizzes.__main__ import main
from quizzes.notebook import QuestionWidget
from quizzes.progress import load, reset
from quizzes.questions import Answer, Entry, Number, all_questions, find, option_order, translate
from tests.quizzes.conftest import SAMPLES, every_answer


def by_terminal(
    entry: Entry,
    answer: Answer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> dict[str, Any]:
    """Type the answer on the command line; what it printed and recorded."""
    if isinstance(entry.question, Number):
        assert isinstance(answer, float)
        typed = repr(answer)
    else:
        progress = load()
        shown = option_order(
            entry.question, f"{progress.seed}/{len(progress.of(entry.question.id))}"
        )
        assert isinstance(answer, tuple)
        typed = " ".join(str(shown.index(key) + 1) for key in answer)
    lines = iter([typed])
    monkeypatch.setattr(builtins, "input", lambda _prompt: next(lines, "q"))
    capsys.readouterr()
    terminal.session([entry])
    printed = capsys.readouterr().out
    attempt = load().attempts[-1]
    said = printed.split("\n\n")[1].splitlines()
    return {
        "correct": attempt.correct,
        "points": attempt.points,
        "misconceptions": list(attempt.misconceptions),
        "headline": said[0],
        "feedback": "\n".join(said[1:-2]),
    }


def by_widget(entry: Entry, answer: Answer) -> dict[str, Any]:
    """Press the buttons in a notebook; what the page is sent."""
    widget = QuestionWidget(entry)
    before = widget.view
    assert before["verdict"] is None
    sent = list(answer) if isinstance(answer, tuple) else repr(answer)
    widget._receive(widget, {"do": "answer", "answer": sent}, [])
    assert widget.view["problem"] is None
    assert widget.view["count"] == 1
    verdict = widget.view["verdict"]
    attempt = load().attempts[-1]
    return {
        "correct": verdict["correct"],
        "points": verdict["points"],
        "misconceptions": list(attempt.misconceptions),
        "headline": verdict["headline"],
        "feedback": "\n".join(verdict["feedback"]),
    }


def by_file(
    entry: Entry,
    answer: Answer,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> dict[str, Any]:
    """Write the answer into a file; what `check` says of that question."""
    name = entry.question.id
    path.write_text(json.dumps({"answers": {name: answer}}))
    monkeypatch.setattr("sys.argv", ["quizzes", "check", str(path)])
    capsys.readouterr()
    status = main()
    result = json.loads(capsys.readouterr().out)
    judged: dict[str, Any] = result["questions"][name]
    alone = len(result["missing"]) == 0
    assert status == (0 if judged["correct"] and alone else 1)
    return {
        key: judged[key] for key in ("correct", "points", "misconceptions", "headline", "feedback")
    }


ALL = [
    (str(folder), name) for folder in (questions.FOLDER, SAMPLES) for name in all_questions(folder)
]


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize(("folder", "name"), ALL, ids=[name for _, name in ALL])
def test_every_verdict_is_the_same_in_the_three_faces(
    folder: str,
    name: str,
    code: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(questions, "FOLDER", Path(folder))
    monkeypatch.setattr(terminal, "_columns", lambda: 100_000)
    monkeypatch.setattr(terminal, "MOST_TIMES", 1)
    with speaking(code):
        entry = find(name)
        answers = list(every_answer(entry.question))
        for answer in answers:
            reset()
            typed = by_terminal(entry, answer, monkeypatch, capsys)
            pressed = by_widget(entry, answer)
            assert typed == pressed
            assert typed == by_file(entry, answer, tmp_path / "a.json", monkeypatch, capsys)
    print(f"{len(answers)} answers to {name} in {code}")


def test_the_order_of_several_chosen_options_does_not_matter(samples: Path) -> None:
    entry = translate(all_questions()["sample-several"])
    for answer in every_answer(entry.question):
        assert isinstance(answer, tuple)
        mixed = list(answer)
        random.Random(1).shuffle(mixed)
        assert by_widget(entry, tuple(mixed)) == by_widget(entry, answer)
