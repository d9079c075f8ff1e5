"""Numbers, names and sentences of a verdict, as a page and a terminal both show them."""

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime

from babel.dates import format_date, format_time

from challenges.minimal_service.grading.verdict import CriterionResult, Verdict
from challenges.minimal_service.report.criteria_texts import title
from challenges.minimal_service.report.figure_names import figure_names
from learner.language import _, language
from learner.numbers import format_number

MARKS = {"passed": "✓", "failed": "✗", "not-checked": "–"}
LEAST_BONUS = 0.05
"""Points; less is rounding."""
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


def clean(text: str) -> str:
    """A text of a submission without what would steer a terminal or a page.

    Control characters (a terminal obeys some), marks that turn the direction of writing, and
    halves of characters are shown as one sign that says: here was something.
    """
    kept = []
    for sign in text:
        category = unicodedata.category(sign)
        if sign in "\n\t":
            kept.append(" ")
        elif (
            category in {"Cc", "Cs"}
            or sign in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
        ):
            kept.append("\ufffd")
        else:
            kept.append(sign)
    return "".join(kept)


def joined(sentences: Sequence[str]) -> str:
    """Sentences in a row, as the learner's language sets them."""
    return ("" if language() == "ja" else " ").join(sentences)


def listed(parts: Sequence[str]) -> str:
    """Parts in a row, as the learner's language sets them."""
    return ("、" if language() == "ja" else ", ").join(parts)


def points(value: float) -> str:
    """Points with a tenth where there is one."""
    return f"{value:.1f}".removesuffix(".0")


def gained(result: CriterionResult) -> str:
    """A criterion's points; "–" where it could not be checked."""
    return "–" if result.status == "not-checked" else points(result.points)


def moment(when: datetime) -> str:
    """Day and minute, in this machine's time zone and the learner's language."""
    there, code = when.astimezone(), language()
    # Not format_datetime: it has seconds where the day is written with its month's name.
    day, minute = format_date(there, "long", locale=code), format_time(there, "short", locale=code)
    return f"{day}, {minute}".replace("\u202f", " ")


def status(result: CriterionResult) -> str:
    """What became of a criterion, in a word or two."""
    return {
        "passed": _("passed"),
        "failed": _("not passed"),
        "not-checked": _("not checked"),
    }[result.status]


def headline(verdict: Verdict) -> str:
    """The verdict in a word or two."""
    return _("Passed") if verdict.passed else _("Not passed yet")


def counted(verdict: Verdict) -> str:
    """How many criteria were passed, failed, not checked."""
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
    return joined(said)


def bonus(verdict: Verdict) -> float:
    """Points for what lies beyond the target; 0 where there are none."""
    beyond = verdict.score - sum(result.points for result in verdict.criteria)
    return beyond if beyond >= LEAST_BONUS else 0.0


def most_lost(verdict: Verdict) -> CriterionResult | None:
    """The failed criterion that cost the most points: where to begin. None if none failed."""
    failed = [result for result in verdict.criteria if result.status == "failed"]
    return max(failed, key=lambda result: result.most - result.points, default=None)


def first_step(verdict: Verdict) -> str | None:
    """What to look at first, in two sentences; None if nothing failed."""
    result = most_lost(verdict)
    if result is None:
        return None
    said = _("“{criterion}” cost the most points: {lost} of {most}.").format(
        criterion=title(result.id), lost=points(result.most - result.points), most=result.most
    )
    return joined([said, clean(result.cause)]) if result.cause else said


def figures(result: CriterionResult) -> list[tuple[str, str]]:
    """What a criterion measured: name and value with its unit, what matters most first."""
    order = {name: place for place, name in enumerate(figure_names())}
    known = sorted(result.measured.items(), key=lambda one: order.get(one[0], len(order)))
    return [(_name(name), _value(name, value)) for name, value in known]


def _split(name: str) -> tuple[str, str | None]:
    """A figure's name without its unit, and the unit's key."""
    for unit in sorted(_UNITS, key=len, reverse=True):
        if name.endswith(f"_{unit}"):
            return name.removesuffix(f"_{unit}"), unit
    return name, None


def _name(name: str) -> str:
    bare, _unit = _split(name)
    return figure_names().get(name) or clean(re.sub(r"[_-]+", " ", bare).strip() or name)


def _value(name: str, value: float) -> str:
    if name.endswith(_SHARES) and math.isfinite(value):
        return f"{value * 100:.3g} %"
    _bare, unit = _split(name)
    said = format_number(value)
    return said if unit is None else _UNITS[unit].format(value=said)
