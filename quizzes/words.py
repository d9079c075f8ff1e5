"""What all faces say, in the learner's language: one place, so that they say the same."""

from learner.language import _
from quizzes.engine import AnswerError, Verdict
from quizzes.questions import Entry, Number, One, Order, Question, Several


def how_to_answer(question: Question) -> str:
    """What kind of answer is asked for."""
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
    """Right or not, in a few words."""
    if verdict.correct:
        return _("Right.")
    if verdict.points > 0:
        return _("Partly right: {percent:.0f} % of the points.").format(
            percent=verdict.points * 100
        )
    return _("Not yet right.")


def feedback(question: Question, verdict: Verdict) -> list[str]:
    """Why, a paragraph each."""
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


def unfit(error: AnswerError) -> str:
    """What is wrong with an answer that does not fit its question."""
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


def where(entry: Entry) -> str:
    """The section that proves a question's answer, in words."""
    return _("What proves it: lesson {notebook}, “{section}”.").format(
        notebook=entry.notebook, section=entry.heading
    )


def no_number() -> str:
    """What is wrong with a text that should be a number."""
    return _("That is no number that can be understood. Write it like 1000 or 0.5.")
