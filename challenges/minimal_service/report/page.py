"""The verdict as one HTML file without scripts, which needs no network and no other file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from challenges.minimal_service.grading.verdict import CriterionResult, Machine, Verdict
from challenges.minimal_service.report import words
from challenges.minimal_service.report.criteria_texts import criteria_texts
from challenges.minimal_service.report.lessons import section
from challenges.minimal_service.report.plots import Attempt, make_plots, plot_attempts
from learner.language import _, language
from learner.numbers import format_number

IN_TABLE = 2
"""Figures of a criterion in the table."""
TEMPLATES = Path(__file__).with_name("templates")


def write_html(verdict: Verdict, path: Path, attempts: Sequence[Attempt] = ()) -> None:
    """Write the page, in the learner's language.

    Args:
        verdict: its texts may come from a submission, so all of them are escaped.
        path: the file; its folder exists.
        attempts: the learner's earlier attempts, for a plot.
    """
    path.write_text(html(verdict, path, attempts), encoding="utf-8")


def html(verdict: Verdict, path: Path, attempts: Sequence[Attempt] = ()) -> str:
    """Return the page; its links are relative to `path`."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    page = environment.get_template("page.html.j2")
    return page.render(
        language=language(),
        style=Markup(style),
        say=_labels(),
        name=words.clean(verdict.submission),
        passed=verdict.passed,
        headline=words.headline(verdict),
        score=words.points(verdict.score),
        of=_("points") if words.bonus(verdict) else _("of 100 points"),
        when=words.format_time_of(verdict.graded_at),
        moment=verdict.graded_at.isoformat(timespec="minutes"),
        counted=words.count_criteria(verdict),
        first_step=words.first_step(verdict),
        first_id=first.id if (first := words.find_worst(verdict)) else None,
        facts=_facts(verdict),
        bonus=words.points(words.bonus(verdict)) if words.bonus(verdict) else None,
        criteria=[_criterion(result, path) for result in verdict.criteria],
        plots=make_plots(verdict),
        attempts=plot_attempts(attempts, verdict) if attempts else None,
        machine=_machine(verdict.machine),
        target_reason=words.clean(verdict.machine.target_reason or ""),
        not_checked=[words.clean(text) for text in verdict.not_checked],
    )


def _criterion(result: CriterionResult, path: Path) -> dict[str, Any]:
    texts = criteria_texts()[result.id]
    most = result.most or 1
    return {
        "id": result.id,
        "title": texts.title,
        "asks": texts.asks,
        "status": result.status,
        "mark": words.MARKS[result.status],
        "said": words.status(result),
        "most": result.most,
        "of": _("{points} of {most}").format(points=words.result_points(result), most=result.most),
        "filled": round(min(1.0, result.points / most) * 100, 1),
        "checks": [
            {
                "state": {True: "passed", False: "failed", None: "not-checked"}[check.passed],
                "text": words.clean(check.text),
            }
            for check in result.checks
        ],
        "figures": (figures := words.figures(result)),
        "summary": words.join_parts([f"{name} {value}" for name, value in figures[:IN_TABLE]]),
        "cause": words.clean(result.cause or ""),
        "lesson": section(result.lesson, path),
    }


def _facts(verdict: Verdict) -> list[str]:
    """Return what kind of grade it was, one sentence each."""
    length = (
        _("A quick grade: its loads are shorter, so its figures are rougher.")
        if verdict.quick
        else _("A full grade.")
    )
    return [length, _("It took {seconds:.0f} s.").format(seconds=verdict.seconds)]


def _machine(machine: Machine) -> list[tuple[str, str]]:
    """Return names and values of what was measured of the machine."""
    return [
        (_("Cores"), f"{machine.cores}"),
        (_("Reading memory, all cores"), f"{format_number(machine.memory_gb_s)} GB/s"),
        (
            _("Matrix product in float32, all cores"),
            f"{format_number(machine.arithmetic_gflop_s)} GFLOP/s",
        ),
        (
            _("Noise: how much longer the slowest of equal pieces of work took than the median"),
            f"{format_number(machine.noise * 100)} %",
        ),
        (
            _(
                "Floor: the least time for one image that physics allows here, if every int8 "
                "weight is used"
            ),
            f"{format_number(machine.floor_ms)} ms",
        ),
        (_("Target"), _("{rate:g} requests a second").format(rate=machine.target_rate)),
    ]


def _labels() -> dict[str, str]:
    """Return the texts of every page."""
    return {
        "challenge": _("The challenge: 1 GB, 50 requests a second"),
        "skip": _("Skip to the content"),
        "first": _("Start here"),
        "criteria": _("Criteria"),
        "criterion": _("Criterion"),
        "result": _("Result"),
        "summary": _("Measured"),
        "points": _("Points"),
        "bonus": _("Beyond the target"),
        "bonus_text": _("for more throughput, a lower p99 and closer probabilities"),
        "sum": _("Score"),
        "measured": _("What was measured under load"),
        "details": _("Each criterion"),
        "figures": _("Figures"),
        "cause": _("Likely cause"),
        "lesson": _("What helps"),
        "machine": _("This machine"),
        "machine_text": _(
            "Measured before the grade. Where no program could reach the target, it is lowered."
        ),
        "not_checked": _("What was not checked"),
        "nothing_left": _("Everything was checked."),
        "attempts": _("Your attempts"),
        "passed": _("passed"),
        "failed": _("not passed"),
        "not-checked": _("not checked"),
        "links": _(
            "Links to lessons open in JupyterLab on this machine; start it with: make lab. Where "
            "the pages of make site are built, links lead there."
        ),
        "nothing_measured": _("No load was measured, so there is nothing to draw."),
    }
