"""What a lesson gets from `ask` and `ask_again`: in a real kernel, without one, and afterwards."""

import threading
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from learner.errors import LearnerError
from quizzes import experiments, progress, retrieval
from quizzes.engine import grade
from quizzes.evidence import Evidence
from quizzes.notebook import QuestionWidget, ask
from quizzes.questions import all_questions
from service.settings import ROOT
from tests.conftest import wait_until

WIDGET = "application/vnd.jupyter.widget-view+json"


def executed(*sources: str) -> Any:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": ROOT}}, allow_errors=True
    ).execute()
    return notebook


@pytest.mark.filterwarnings("ignore")  # of the kernel's transport
def test_in_a_kernel() -> None:
    notebook = executed(
        "from quizzes.notebook import ask",
        'ask("why-convert")',
        'ask("why-covert")',
        "from quizzes.retrieval import *\nask_again('05_quiz', 3)\nprint(right_of('05_quiz'))",
        "show_progress()",
    )
    asked, unknown, again, shown = (cell.outputs for cell in notebook.cells[1:])
    (question,) = asked
    assert set(question.data) == {"text/plain", "text/html", WIDGET}
    assert question.data["text/plain"].startswith("Question: What is the primary purpose")
    assert unknown[0].output_type == "error"
    assert "Traceback" not in "".join(unknown[0].traceback)
    assert [set(output.get("data", {})) for output in again] == [
        {"text/plain", "text/html", WIDGET},
        {"text/plain", "text/markdown"},
    ] * 3 + [set()]
    assert again[-1].text.splitlines() == [
        "Still without an answer: 3. Answer above, then run this cell again.",
        "0",
    ]
    assert "05_quiz" in shown[0].text


def test_the_same_question_puts_out_the_same_every_time(
    samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask("sample-order")
    first = capsys.readouterr().out
    progress.record("sample-order", ("verify",), grade(entry("number"), 20.0))
    ask("sample-order")
    assert capsys.readouterr().out == first == "Question: In which order?\n"


def entry(kind: str) -> Any:
    return all_questions()[f"sample-{kind}"].question


def test_an_unknown_question_names_the_nearest() -> None:
    with pytest.raises(LearnerError, match='The nearest is "when-to-load-weights"'):
        ask("when-to-load-weight")


def test_missed_ones_are_asked_first_and_first_answers_count(
    samples: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieval, "_asked", {})
    for kind, answer in (("one", ("apple",)), ("number", 3.0)):
        progress.record(f"sample-{kind}", answer, grade(entry(kind), answer))
    retrieval.ask_again("05_quiz", 2)
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Question")]
    assert shown == ["Question: How long?", "Question: Which ones?"]
    for answer in (20.0, 3.0):
        progress.record("sample-number", answer, grade(entry("number"), answer))
    assert retrieval.right_of("05_quiz") == 1
    assert capsys.readouterr().out.startswith("Still without an answer: 1.")
    retrieval.show_progress()
    assert "2 of 4 answered; first 50 %, latest 50 %, gain +0" in capsys.readouterr().out


def test_a_widget_says_that_a_question_was_answered_before(samples: Path) -> None:
    found = all_questions()["sample-one"]
    assert QuestionWidget(found).view["notice"] == ""
    for key, words in (("brick", "not yet right"), ("apple", "before: right")):
        progress.record("sample-one", (key,), grade(found.question, (key,)))
        assert words in QuestionWidget(found).view["notice"]


def test_a_widget_says_that_the_progress_was_damaged(
    learners_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learners_folder.mkdir()
    (learners_folder / "quiz.json").write_text("{")
    widget = QuestionWidget(all_questions()["why-convert"])
    assert widget.view["notice"].startswith("quiz.json was damaged. It is kept as")
    assert capsys.readouterr().out == ""


def test_the_widget_reports_an_unwritable_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = QuestionWidget(all_questions()["why-convert"])
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKSHOP_FOLDER", str(tmp_path / "file"))
    widget._receive(widget, {"do": "answer", "answer": ["prevents-theft"]}, [])
    assert widget.view["problem"].startswith("Cannot write to")
    assert widget.view["verdict"] is None


def test_an_answer_while_an_experiment_runs_is_not_lost(
    samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()

    def wait_for_answer(_entry: object) -> Evidence:
        assert answered.wait(10)
        return Evidence("Measured.")

    monkeypatch.setattr(experiments, "run", wait_for_answer)
    widget = QuestionWidget(all_questions()["sample-one"])
    widget._receive(widget, {"do": "evidence"}, [])
    assert widget.view["evidence"] == "running"
    widget._receive(widget, {"do": "answer", "answer": ["apple"]}, [])
    answered.set()
    wait_until(lambda: widget.view["evidence"] != "running")
    assert widget.view["evidence"]["shows"] == "Measured."
    assert widget.view["verdict"]["correct"]
