"""The verdict for a terminal, even a narrow one, or one with ASCII only."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from challenges.minimal_service.grading.verdict import CriterionResult, Verdict
from challenges.minimal_service.report import words
from challenges.minimal_service.report.criteria_texts import title
from challenges.minimal_service.report.lessons import section
from learner.language import _
from learner.terminal import (
    BOLD,
    GREEN,
    ORANGE,
    coloured,
    padded,
    printable,
    width,
    wrapped,
)

LEAST_COLUMNS, MOST_COLUMNS = 30, 100
INDENT = "    "


def text(verdict: Verdict, columns: int | None = None) -> str:
    """Return the verdict in lines, without a line end after the last.

    Each criterion has a line with its points and figures. Below a failed one follow the failed
    checks, the likely cause, and the section of the lessons that helps.

    Args:
        verdict: control characters are removed from its texts.
        columns: the width; the terminal's own if not given.
    """
    wide = columns or shutil.get_terminal_size().columns
    lines = _lines(verdict, min(max(wide, LEAST_COLUMNS), MOST_COLUMNS))
    return printable("\n".join(lines))


def _lines(verdict: Verdict, columns: int) -> Iterator[str]:
    head = _("{name}: {score} points. {headline}.").format(
        name=words.clean(verdict.submission),
        score=words.points(verdict.score),
        headline=words.headline(verdict),
    )
    yield from (coloured(line, BOLD) for line in wrapped(head, columns))
    yield from wrapped(words.count_criteria(verdict), columns)
    yield ""
    names = max((width(title(result.id)) for result in verdict.criteria), default=0)
    for result in verdict.criteria:
        yield from _criterion(result, names, columns)
    if beyond := words.bonus(verdict):
        yield padded(f"  {_('Beyond the target')}", names + 2) + f"  +{words.points(beyond)}"
    if verdict.machine.target_reason:
        yield ""
        yield from wrapped(words.clean(verdict.machine.target_reason), columns)
    if verdict.not_checked:
        yield ""
        yield _("What was not checked")
        for one in verdict.not_checked:
            yield from wrapped(words.clean(one), columns, "  - ")


def _criterion(result: CriterionResult, names: int, columns: int) -> Iterator[str]:
    colour = {"passed": GREEN, "failed": ORANGE, "not-checked": ""}[result.status]
    gained = f"{words.result_points(result):>4}/{result.most:<2}"
    head = padded(f"{words.mark(result.status)} {title(result.id)}", names + 2) + f"  {gained}"
    measured = words.join_parts([f"{name} {value}" for name, value in words.figures(result)])
    if measured and width(f"{head}  {measured}") <= columns:
        yield f"{coloured(head, colour)}  {measured}"
    else:
        yield from (coloured(line, colour) for line in wrapped(head.rstrip(), columns))
        yield from wrapped(measured, columns, INDENT) if measured else ()
    for check in result.checks:
        if check.passed is False:
            yield from wrapped(words.clean(check.text), columns, f"{INDENT}- ")
    if result.status == "failed" and result.cause:
        cause = _("Likely cause: {cause}").format(cause=words.clean(result.cause))
        yield from wrapped(cause, columns, INDENT)
    if result.status == "failed" and (found := section(result.lesson, Path("report.html"))):
        helps = _("What helps: {section}").format(section=found.text)
        yield from wrapped(helps, columns, INDENT)
