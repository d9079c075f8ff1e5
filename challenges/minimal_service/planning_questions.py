"""The lecture's two planning questions, with its solution after the learner's own answer.

And the prediction of the plan that lesson 6 makes: a grade shows it beside what it measured.
"""

from learner.errors import LearnerError
from learner.folder import read_json, write_json
from learner.language import _

FILE = "plan.json"
PREDICTION = "p99_ms"
"""Key of the file: p99 in ms at 50 requests a second, as lesson 6 simulated it."""
FEWEST_LETTERS = 6
"""Shortest answer; Japanese needs few characters, and no spaces."""


def plan(step: str, *, answer: str | None = None) -> None:
    """Ask a question of the plan; store an answer to it and show the lecture's solution.

    Args:
        step: "step-1" or "step-2".
        answer: the learner's, a sentence; None shows the question only.

    Raises:
        LearnerError: there is no such step, or the answer is not a sentence.
    """
    question, solution = _step(step)
    print(question)
    if answer is None:
        print(
            _(
                "Write your answer between quotes instead of None and run this cell again. "
                "The solution comes after it."
            )
        )
        return
    if not isinstance(answer, str) or len(answer.strip()) < FEWEST_LETTERS:
        raise LearnerError(_('Write a sentence between quotes: answer="I would …"'))
    write_json(FILE, {**read_json(FILE), step: answer.strip()})
    print(_("Your answer: {answer}").format(answer=answer.strip()))
    print(_("An example answer: {solution}").format(solution=solution))


def question_of(step: str) -> str:
    """Return the question of a step, in the learner's language.

    Raises:
        LearnerError: there is no such step.
    """
    return _step(step)[0]


def steps() -> dict[str, tuple[str, str]]:
    """Return question and solution of each step, in the learner's language."""
    return {
        "step-1": (
            _(
                "Step 1. To ensure high throughput and low average latency, what is the single "
                "most critical structural change needed for the Python script?"
            ),
            _(
                "Refactor the code base into isolated modules (Preprocessing, Model Definition, "
                "Inference Runner) and ensure that the entire process is packaged for "
                "containerisation."
            ),
        ),
        "step-2": (
            _(
                "Step 2. What is the minimum necessary artifact to ship besides the trained "
                "weights?"
            ),
            _(
                "The exact code or class definition used for preprocessing and the model "
                "architecture definition, serialised and coupled with the weights."
            ),
        ),
    }


def answers() -> dict[str, str]:
    """Return the learner's own answers so far, by step."""
    return {step: str(text) for step, text in read_json(FILE).items() if step in steps()}


def keep_prediction(p99_ms: float) -> None:
    """Store the p99 in ms that the plan predicts for 50 requests a second."""
    write_json(FILE, {**read_json(FILE), PREDICTION: round(p99_ms, 1)})


def compare_prediction(p99_ms: float) -> str | None:
    """Return a line with the plan's p99 beside a graded one, in ms; None without a prediction."""
    predicted = read_json(FILE).get(PREDICTION)
    if not isinstance(predicted, int | float) or isinstance(predicted, bool):
        return None
    return _("p99 by the plan of lesson 6: {predicted:.0f} ms; by this grade: {p99:.0f} ms").format(
        predicted=predicted, p99=p99_ms
    )


def _step(step: str) -> tuple[str, str]:
    known = steps()
    if step not in known:
        raise LearnerError(
            _("There is no {step!r} in the plan. Choose one of: {steps}").format(
                step=step, steps=", ".join(known)
            )
        )
    return known[step]
