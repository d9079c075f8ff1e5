"""The quiz in a notebook: `ask("question-id")` shows a question that the kernel grades."""

import contextvars
import html
import io
import threading
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from IPython.core.getipython import get_ipython
from IPython.display import display

from learner.errors import LearnerError
from learner.language import _, language, speaking
from learner.numbers import format_number, read_number
from quizzes import experiments, progress, words
from quizzes.engine import AnswerError, grade
from quizzes.questions import Answer, Entry, Number, find, option_order

HERE = Path(__file__).resolve().parent


def ask(name: str) -> None:
    """Show a question. Every answer gets feedback at once.

    Args:
        name: the question's id.

    Raises:
        LearnerError: there is no such question.
    """
    entry = find(name)
    plain = _("Question: {text}").format(text=entry.question.text)
    shown: dict[str, Any] = {"text/plain": plain, "text/html": render_static(entry)}
    shell: Any = get_ipython()
    if shell is None:
        print(plain)
        return
    if getattr(shell, "kernel", None) is not None:
        view = QuestionWidget(entry)
        shown["application/vnd.jupyter.widget-view+json"] = {
            "version_major": 2,
            "version_minor": 0,
            "model_id": view.model_id,
        }
    display(shown, raw=True)  # type: ignore[no-untyped-call]


def render_static(entry: Entry) -> str:
    """Return the question as static HTML without the answer, for pages without a kernel."""
    question = entry.question
    texts = {} if isinstance(question, Number) else {o.id: o.text for o in question.options}
    items = "".join(f"<li>{_rich(texts[key])}</li>" for key in option_order(question))
    return (
        f'<div class="workshop-question"><p><strong>{_rich(question.text)}</strong></p>'
        + (f"<ul>{items}</ul>" if items else "")
        + f"<p><em>{html.escape(words.how_to_answer(question))} "
        + html.escape(_("Run this cell to answer."))
        + "</em></p></div>"
    )


def _rich(text: str) -> str:
    """Turn `code` into HTML, and escape all other text (as widget.js does)."""
    parts = html.escape(text).split("`")
    return "".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(parts))


class QuestionWidget(anywidget.AnyWidget):
    """One question. Its state, all that the page receives, contains no answer before an attempt."""

    _esm = HERE / "widget.js"
    _css = HERE / "widget.css"
    view = traitlets.Dict().tag(sync=True)

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._language = language()
        self._one_at_a_time = threading.Lock()
        said = io.StringIO()
        with redirect_stdout(said):  # the warning about a damaged file is for the widget
            before = progress.load()
        super().__init__(view=describe_question(entry, before, said.getvalue().strip()))
        self.on_msg(self._receive)

    def _receive(self, _widget: object, message: dict[str, Any], _buffers: object) -> None:
        with speaking(self._language):
            if message.get("do") == "answer":
                self._change(
                    **grade_answer(self._entry, message.get("answer")), count=self.view["count"] + 1
                )
            elif message.get("do") == "evidence" and self.view["evidence"] != "running":
                self._change(evidence="running")
                act = contextvars.copy_context().run
                threading.Thread(target=act, args=(self._show_evidence,), daemon=True).start()

    def _show_evidence(self) -> None:
        self._change(evidence=describe_evidence(self._entry))

    def _change(self, **changes: object) -> None:
        """Send changes to the page, from the kernel's thread or an experiment's."""
        with self._one_at_a_time:
            self.view = {**self.view, **changes}


def describe_question(entry: Entry, before: progress.Progress, notice: str) -> dict[str, Any]:
    """Return what the page shows before an attempt."""
    question = entry.question
    attempts = before.of(question.id)
    texts = {} if isinstance(question, Number) else {o.id: o.text for o in question.options}
    if attempts and not notice:
        notice = (
            _("You have answered this before: right.")
            if attempts[-1].correct
            else _("You have answered this before: not yet right.")
        )
    return {
        "question": question.id,
        "language": language(),
        "kind": question.kind,
        "text": question.text,
        "how": words.how_to_answer(question),
        "unit": question.unit if isinstance(question, Number) else "",
        "options": [
            {"id": key, "text": texts[key]}
            for key in option_order(question, f"{before.seed}/{len(attempts)}")
        ],
        "notice": notice,
        "verdict": None,
        "problem": None,
        "evidence": None,
        "count": 0,
        "labels": {
            "check": _("Check"),
            "again": _("Begin again"),
            "number": _("Your answer"),
            "evidence": _("Show me: measure it here"),
            "running": _("Measuring. This takes some seconds."),
            "chosen": _("Your order so far"),
            "none": _("nothing yet"),
        },
    }


def grade_answer(entry: Entry, answer: object) -> dict[str, Any]:
    """Grade and record an answer from the page; return the changes of the view."""
    question = entry.question
    fitting: Answer | None = tuple(map(str, answer)) if isinstance(answer, list) else ()
    if isinstance(question, Number):
        fitting = read_number(str(answer), question.unit)
        if fitting is None:
            return {"problem": words.not_a_number()}
    assert fitting is not None
    try:
        verdict = grade(question, fitting)
        progress.record(question.id, fitting, verdict)
    except AnswerError as error:
        return {"problem": words.explain_misfit(error)}
    except LearnerError as error:
        return {"problem": str(error)}
    return {
        "problem": None,
        "notice": "",
        "verdict": {
            "correct": verdict.correct,
            "points": verdict.points,
            "headline": words.headline(verdict),
            "feedback": words.feedback(question, verdict),
            "answer": list(fitting) if isinstance(fitting, tuple) else fitting,
            "section": words.name_section(entry),
        },
    }


def describe_evidence(entry: Entry) -> dict[str, Any]:
    """Run the question's experiment; return its outcome for the page."""
    try:
        found = experiments.run(entry)
    except LearnerError as error:
        return {"problem": str(error)}
    return {
        "shows": found.shows,
        "varies": words.name_variable(found) if found.varies else "",
        "values": [list(figure) for figure in experiments.figures(found)],
        "target": found.target,
        "line": ""
        if found.target is None
        else _("Dashed line: {target}").format(target=format_number(found.target, found.unit)),
    }
