"""Find and run the experiment that shows a question's answer."""

import importlib
import importlib.util
from collections.abc import Callable

from learner.errors import LearnerError
from learner.language import _
from learner.numbers import format_number
from quizzes.evidence import Evidence
from quizzes.questions import Entry

SHARED = {
    "busy_tail": "waiting",
    "counted_requests": "watching",
    "exchanged_volume": "packaging",
    "growing_line": "waiting",
    "layer_order": "packaging",
    "memory_bound": "reading_weights",
    "modules_alone": "module_imports",
    "moved_traffic": "releasing",
    "moving_version": "packaging",
    "order_of_cells": "exhibit",
    "refused_bundle": "releasing",
    "resize_filter": "exhibit",
    "restart": "exhibit",
    "scaling_signals": "watching",
    "settings_outside": "packaging",
    "shared_reading": "reading_weights",
    "shifted_confidence": "drift",
    "slowest_request": "watching",
    "spent_budget": "watching",
    "why_convert": "five_forms",
    "windows_of_an_alert": "drift",
}
"""Experiments that share a module of quizzes/evidence: name of the function → module."""


def find(name: str) -> Callable[[], Evidence] | None:
    """Return an experiment: listed in `SHARED`, or `run` of its own module; None if unknown."""
    module = f"quizzes.evidence.{SHARED.get(name, name)}"
    if importlib.util.find_spec(module) is None:
        return None
    function: Callable[[], Evidence] | None = getattr(
        importlib.import_module(module), name if name in SHARED else "run", None
    )
    return function


def run(entry: Entry) -> Evidence:
    """Run a question's experiment on this machine (at most 20 s).

    Raises:
        LearnerError: it cannot run here, or it did not show the answer.
    """
    name = entry.question.evidence
    try:
        experiment = find(name)
        assert experiment is not None
        return experiment()
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


def figures(found: Evidence) -> list[tuple[str, float, str]]:
    """Return name, value, and the formatted value of each bar."""
    return [(name, value, format_number(value, found.unit)) for name, value in found.values.items()]
