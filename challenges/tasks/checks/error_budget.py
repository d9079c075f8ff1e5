"""Task error-budget: how fast late requests use up what an objective allows."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from challenges.tasks.checking import Wrong, own_module
from challenges.tasks.graphs import run_own
from learner.language import _

BURN, DAYS = "budget.py, burn_rate", "budget.py, days_left"


def check(folder: Path) -> None:
    """Compute burn rates of known requests.

    Raises:
        Wrong: a number is wrong, or a question without an answer gets one.
    """
    module = own_module(folder, "budget")
    fast, slow = [10.0] * 990, [80.0] * 10
    for requests, objective, right, words in (
        (fast + slow, 0.99, 1.0, _("10 late of 1,000, where 10 may be late, is a rate of 1.")),
        (fast + slow, 0.999, 10.0, _("10 late of 1,000, where 1 may be late, is a rate of 10.")),
        (fast + [None] * 10, 0.99, 1.0, _("10 requests that failed (None) are late, too.")),
        (fast + [50.0] * 10, 0.99, 0.0, _("A request that took exactly 50 ms is in time.")),
        ([80.0] * 5, 0.9, 10.0, _("If every request is late, and 10 % may be, the rate is 10.")),
    ):
        found = run_own(folder, "burn_rate", module.burn_rate, requests, 50, objective)
        _demand_number(found, right, words, BURN)
    _demand_refusal(module.burn_rate, ([], 50, 0.99), _("No requests: ValueError."))
    _demand_refusal(module.burn_rate, (fast, 50, 1), _("An objective of 1: ValueError."))
    for arguments, right, words in (
        ((1, 1), 30.0, _("All of the budget at rate 1 lasts for 30 days.")),
        ((0.5, 10), 1.5, _("Half of the budget at rate 10 lasts for 1.5 days.")),
        ((1, 0), math.inf, _("At rate 0 it lasts for ever: inf.")),
        ((1, 2, 7), 3.5, _("A budget for 7 days at rate 2 lasts for 3.5 days.")),
    ):
        found = run_own(folder, "days_left", module.days_left, *arguments)
        _demand_number(found, right, words, DAYS)


def _demand_number(found: Any, right: float, words: str, look: str) -> None:
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    if not is_number or not math.isclose(found, right, rel_tol=1e-6, abs_tol=1e-9):
        raise Wrong(
            expected=words,
            found=_("It returned {answer}.").format(answer=repr(found)[:100]),
            look=look,
        )


def _demand_refusal(function: Callable[..., Any], arguments: tuple[Any, ...], words: str) -> None:
    try:
        found = function(*arguments)
    except ValueError:
        return
    except Exception as error:
        raise Wrong(expected=words, found=type(error).__name__, look=BURN) from error
    raise Wrong(
        expected=words, found=_("It returned {answer}.").format(answer=repr(found)[:100]), look=BURN
    )
