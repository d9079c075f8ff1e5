"""Runs the experiment that shows a question's answer."""

import importlib

from learner.errors import LearnerError
from learner.language import _
from learner.numbers import format_number
from quizzes.evidence.base import Evidence
from quizzes.questions import Entry


def run(entry: Entry) -> Evidence:
    """What the question's experiment finds, here and now (≤ 20 s).

    Raises:
        LearnerError: it cannot run here, or did not find what it should have.
    """
    name = entry.question.evidence
    try:
        module = importlib.import_module(f"quizzes.evidence.{name}")
        found = module.run()
    except LearnerError:
        raise
    except AssertionError as error:
        raise LearnerError(
            _(
                "The experiment {name} did not show it this time: {reason}. "
                "Other programs may keep this machine busy; close some and try again."
            ).format(name=name, reason=error or _("no reason given"))
        ) from None
    except Exception as error:
        raise LearnerError(
            _("The experiment {name} could not run: {reason}").format(
                name=name, reason=f"{type(error).__name__}: {error}"
            )
        ) from None
    assert isinstance(found, Evidence)
    return found


def figures(found: Evidence) -> list[tuple[str, float, str]]:
    """Name, value, and the value in words, of each bar."""
    return [(name, value, format_number(value, found.unit)) for name, value in found.values.items()]
