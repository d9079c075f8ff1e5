"""All plots of a verdict, each with a text for those who do not see it."""

from collections.abc import Sequence
from datetime import datetime

from matplotlib.ticker import MaxNLocator

from challenges.minimal_service.grading.verdict import Verdict
from challenges.minimal_service.report.latency_plots import over_time, percentiles, rates
from challenges.minimal_service.report.svg import (
    BAD,
    GOOD,
    INK,
    LINE,
    QUIET,
    Plot,
    drawing,
    inline,
    weight,
)
from challenges.minimal_service.report.words import joined, points
from learner.language import _
from learner.numbers import format_number

MOST_ATTEMPTS = 30
BOUND = "allowed_mib"
"""What the memory criterion calls the most that it accepts."""
Attempt = tuple[datetime, float, bool]
"""When, with what score, and whether it was passed."""


def plots(verdict: Verdict) -> list[Plot]:
    """Those plots of a verdict that there are figures for."""
    series = verdict.series
    drawn = [over_time(series), percentiles(series), rates(verdict), _memory(verdict)]
    return [plot for plot in drawn if plot is not None]


def _memory(verdict: Verdict) -> Plot | None:
    series = verdict.series
    if not series.memory_mib:
        return None
    seconds, mib = series.memory_s, series.memory_mib
    criterion = next((one for one in verdict.criteria if one.id == "memory"), None)
    bound = criterion.measured.get(BOUND) if criterion else None
    most = max(mib)
    with drawing() as figure:
        axes = figure.subplots()
        over = bound is not None and most > bound
        axes.plot(seconds, mib, color=BAD if over else GOOD, linewidth=2.2)
        axes.fill_between(seconds, mib, color=BAD if over else GOOD, alpha=0.13, linewidth=0)
        top = max(most, bound or 0) * 1.18
        if bound is not None:
            axes.axhline(bound, color=INK, linewidth=1.4, linestyle=(0, (5, 3)))
            axes.annotate(
                _("most accepted: {mib} MiB").format(mib=format_number(bound)), (0, bound), (3, 4),
                xycoords=("axes fraction", "data"), textcoords="offset points", color=INK,
            )  # fmt: skip
        axes.set_ylim(0, top)
        axes.set_xlim(0, max(1.0, *seconds))
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlabel(_("time of the load, s"))
        axes.set_ylabel(_("memory, MiB"))
        axes.grid(visible=False, axis="x")
        said = [
            _(
                "{first} MiB at the start of the load, {last} MiB at its end, {most} MiB at most."
            ).format(
                first=format_number(mib[0]), last=format_number(mib[-1]), most=format_number(most)
            )
        ]
        if bound is not None:
            said.append(_("At most {bound} MiB are accepted.").format(bound=format_number(bound)))
        title = _("Memory")
        svg = inline(figure, "memory", f"{title}: {joined(said)}")
    return Plot(
        title,
        svg,
        _("All processes of the service together; what they share is counted once."),
    )


def attempts_plot(attempts: Sequence[Attempt], verdict: Verdict) -> Plot:
    """The scores of earlier attempts in their order, and of this one at the end."""
    earlier = sorted(attempts)[-(MOST_ATTEMPTS - 1) :]
    shown = [*earlier, (verdict.graded_at, verdict.score, verdict.passed)]
    scores = [score for _when, score, _passed in shown]
    first = len(attempts) - len(earlier) + 1
    with drawing() as figure:
        figure.set_size_inches(5.2, 2.3)
        axes = figure.subplots()
        axes.axhline(100, color=LINE, linewidth=1)
        numbers = range(first, first + len(shown))
        axes.plot(numbers, scores, color=QUIET, linewidth=1.2)
        for place, (_when, score, passed) in zip(numbers, shown, strict=True):
            colour = GOOD if passed else BAD
            axes.plot(place, score, "o" if passed else "D", color=colour, markersize=6)
        axes.annotate(
            points(scores[-1]), (numbers[-1], scores[-1]), (9, 0), textcoords="offset points",
            va="center", color=INK, fontweight=weight(),
        )  # fmt: skip
        axes.set_ylim(0, max(110.0, *scores) * 1.12)
        axes.set_xlim(first - 0.5, numbers[-1] + 0.2 + 0.12 * len(shown))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(visible=False, axis="x")
        axes.set_xlabel(_("attempt"))
        axes.set_ylabel(_("score"))
        said = [
            _("Attempt {number}: {score}, passed.").format(number=place, score=points(score))
            if passed
            else _("Attempt {number}: {score}, not passed.").format(
                number=place, score=points(score)
            )
            for place, (_when, score, passed) in zip(numbers, shown, strict=True)
        ]
        title = _("Your attempts")
        svg = inline(figure, "attempts", f"{title}: {joined(said)}")
    return Plot(title, svg, _("Circle: passed. Diamond: not passed."))
