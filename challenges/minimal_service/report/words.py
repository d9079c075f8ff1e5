"""Numbers, names and sentences of a verdict, for the page and the terminal."""

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime

from babel.dates import format_date, format_time

from challenges.minimal_service.grading.verdict import CriterionResult, Verdict
from challenges.minimal_service.report.criteria_texts import figure_names, title
from learner.language import _, language, localise_number
from learner.numbers import format_number
from learner.terminal import can_print

MARKS = {"passed": "✓", "failed": "✗", "not-checked": "–"}
_ASCII_MARKS = {"passed": "+", "failed": "x", "not-checked": "-"}
LEAST_BONUS = 0.05
"""In points; less is rounding."""
_UNITS = {
    "ms": "{value} ms",
    "s": "{value} s",
    "mib": "{value} MiB",
    "mb": "{value} MB",
    "gb": "{value} GB",
    "gb_s": "{value} GB/s",
    "gflop_s": "{value} GFLOP/s",
    "per_s": "{value}/s",
    "percent": "{value} %",
    "points": "{value}",
    "times": "× {value}",
}
_SHARES = ("share", "agreement")
_DIRECTION_MARKS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def clean(text: str) -> str:
    """Return a submission's text without what would control a terminal or a page.

    Control characters, marks that change the direction of writing, and surrogates are replaced by
    the replacement character.
    """
    return "".join(
        " "
        if sign in "\n\t"
        else "\ufffd"
        if unicodedata.category(sign) in {"Cc", "Cs"} or sign in _DIRECTION_MARKS
        else sign
        for sign in text
    )


def mark(status: str) -> str:
    """Return the sign of a criterion's status that the terminal can print."""
    return (MARKS if can_print("".join(MARKS.values())) else _ASCII_MARKS)[status]


def join_sentences(sentences: Sequence[str]) -> str:
    """Join sentences as the learner's language does."""
    return ("" if language() == "ja" else " ").join(sentences)


def join_parts(parts: Sequence[str]) -> str:
    """Join parts of a list as the learner's language does."""
    return ("、" if language() == "ja" else ", ").join(parts)


def points(value: float) -> str:
    """Return points, with a tenth if there is one."""
    return localise_number(f"{value:.1f}".removesuffix(".0"))


def result_points(result: CriterionResult) -> str:
    """Return a criterion's points; "–" if it was not checked."""
    return "–" if result.status == "not-checked" else points(result.points)


def format_time_of(when: datetime) -> str:
    """Return day and minute, in this machine's time zone and the learner's language."""
    there, code = when.astimezone(), language()
    # format_datetime would add seconds where the day has its month's name.
    day, minute = format_date(there, "long", locale=code), format_time(there, "short", locale=code)
    return f"{day}, {minute}".replace("\u202f", " ")


def status(result: CriterionResult) -> str:
    """Return a criterion's status in a word or two."""
    return {"passed": _("passed"), "failed": _("not passed"), "not-checked": _("not checked")}[
        result.status
    ]


def headline(verdict: Verdict) -> str:
    """Return the verdict in a word or two."""
    return _("Passed") if verdict.passed else _("Not passed yet")


def count_criteria(verdict: Verdict) -> str:
    """Return how many criteria were passed, failed, not checked."""
    counts = {"passed": 0, "failed": 0, "not-checked": 0}
    for result in verdict.criteria:
        counts[result.status] += 1
    of = {"passed": counts["passed"], "all": len(verdict.criteria), "failed": counts["failed"]}
    if counts["failed"]:
        said = [_("{passed} of {all} criteria passed, {failed} not.").format(**of)]
    else:
        said = [_("{passed} of {all} criteria passed.").format(**of)]
    if counts["not-checked"]:
        said.append(_("Could not be checked here: {n}.").format(n=counts["not-checked"]))
    return join_sentences(said)


def bonus(verdict: Verdict) -> float:
    """Return the points for results beyond the target; 0 if there are none."""
    beyond = verdict.score - sum(result.points for result in verdict.criteria)
    return beyond if beyond >= LEAST_BONUS else 0.0


def find_worst(verdict: Verdict) -> CriterionResult | None:
    """Return the failed criterion that cost the most points; None if none failed."""
    failed = [result for result in verdict.criteria if result.status == "failed"]
    return max(failed, key=lambda result: result.most - result.points, default=None)


def first_step(verdict: Verdict) -> str | None:
    """Return what to look at first, in two sentences; None if nothing failed."""
    result = find_worst(verdict)
    if result is None:
        return None
    said = _("“{criterion}” cost the most points: {lost} of {most}.").format(
        criterion=title(result.id), lost=points(result.most - result.points), most=result.most
    )
    return join_sentences([said, clean(result.cause)]) if result.cause else said


def figures(result: CriterionResult) -> list[tuple[str, str]]:
    """Return name and value with unit of what a criterion measured, the most important first."""
    order = {name: place for place, name in enumerate(figure_names())}
    known = sorted(result.measured.items(), key=lambda one: order.get(one[0], len(order)))
    return [(_name(name), _value(name, value)) for name, value in known]


def _split(name: str) -> tuple[str, str | None]:
    """Return a figure's name without its unit, and the unit's key."""
    for unit in sorted(_UNITS, key=len, reverse=True):
        if name.endswith(f"_{unit}"):
            return name.removesuffix(f"_{unit}"), unit
    return name, None


def _name(name: str) -> str:
    bare, _unit = _split(name)
    return figure_names().get(name) or clean(re.sub(r"[_-]+", " ", bare).strip() or name)


def _value(name: str, value: float) -> str:
    if name.endswith(_SHARES) and math.isfinite(value):
        return f"{format_number(value * 100)}{'%' if language() != 'en' else ' %'}"
    _bare, unit = _split(name)
    said = format_number(value)
    return said if unit is None else _UNITS[unit].format(value=said)
