"""Texts that all user interfaces of the quiz share, in the learner's language."""

from learner.language import _
from quizzes.engine import AnswerError, Verdict
from quizzes.evidence import Evidence
from quizzes.questions import Entry, Number, One, Order, Question, Several


def how_to_answer(question: Question) -> str:
    """Say what kind of answer a question expects."""
    if isinstance(question, One):
        return _("One answer is right.")
    if isinstance(question, Several):
        return _("Several answers may be right. Points: right ones minus wrong ones.")
    if isinstance(question, Order):
        return _("Put them in order: choose the first one first.")
    if question.unit:
        return _("Answer with a number, in {unit}.").format(unit=question.unit)
    return _("Answer with a number.")


def headline(verdict: Verdict) -> str:
    """Say in a few words whether the answer is right."""
    if verdict.correct:
        return _("Right.")
    if verdict.points > 0:
        return _("Partly right: {percent:.0f} % of the points.").format(
            percent=verdict.points * 100
        )
    return _("Not yet right.")


def feedback(question: Question, verdict: Verdict) -> list[str]:
    """Return the reasons for a verdict, a paragraph each."""
    texts = {} if isinstance(question, Number) else {o.id: o.text for o in question.options}
    said = [
        remark.text
        if remark.option is None or len(verdict.remarks) == 1
        else _("“{option}”: {feedback}").format(
            option=texts[remark.option].rstrip("."), feedback=remark.text
        )
        for remark in verdict.remarks
    ]
    if verdict.more:
        said.append(_("All that you chose is right, but something that is right is missing."))
    return said


def explain_misfit(error: AnswerError) -> str:
    """Say why an answer does not fit its question."""
    sentences = {
        "not-options": _("expected a list of option ids"),
        "unknown-option": _("there is no option {detail}"),
        "option-twice": _("option {detail} is there twice"),
        "nothing-chosen": _("no option is chosen"),
        "only-one": _("choose one option only"),
        "not-a-number": _("expected a number"),
        "not-all": _("all options must be put in order"),
    }
    return sentences[error.code].format(detail=error.detail)


def name_section(entry: Entry) -> str:
    """Name the section that proves a question's answer."""
    return _("What proves it: lesson {notebook}, “{section}”.").format(
        notebook=entry.notebook, section=entry.heading
    )


def name_variable(found: Evidence) -> str:
    """Say which one thing an experiment varies."""
    return _("The one thing that differs: {what}").format(what=found.varies)


def not_a_number() -> str:
    """Say that a text is not a number."""
    return _("That is no number that can be understood. Write it like 1000 or 0.5.")
