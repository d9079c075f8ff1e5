"""All plots of a verdict, each with a text for readers who do not see it."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from challenges.minimal_service.grading.verdict import Series, Verdict
from challenges.minimal_service.report.svg import (
    BAD,
    GOOD,
    INK,
    LINE,
    QUIET,
    WASH,
    Plot,
    drawing,
    inline,
    plain_ticks,
    weight,
)  # fmt: skip
from challenges.minimal_service.report.words import join_sentences, points
from learner.language import _
from learner.numbers import format_number

TARGET_MS = 50.0
"""The lecture's target for p99."""
SHARES = (0.5, 0.9, 0.99, 0.999)
Floats = npt.NDArray[np.float64]
MOST_ATTEMPTS = 30
BOUND = "allowed_mib"
"""The memory criterion's name for the most that it accepts."""
Attempt = tuple[datetime, float, bool]
"""Time, score, and whether it was passed."""


def make_plots(verdict: Verdict) -> list[Plot]:
    """Return the plots that the verdict has figures for."""
    series = verdict.series
    drawn = [
        _plot_over_time(series),
        _plot_percentiles(series),
        _plot_rates(verdict),
        _plot_memory(verdict),
    ]
    return [plot for plot in drawn if plot is not None]


def _plot_memory(verdict: Verdict) -> Plot | None:
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
        svg = inline(figure, "memory", f"{title}: {join_sentences(said)}")
    return Plot(
        title, svg, _("All processes of the service together; what they share is counted once.")
    )


def plot_attempts(attempts: Sequence[Attempt], verdict: Verdict) -> Plot:
    """Plot the scores of earlier attempts in their order, and of this one at the end."""
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
        svg = inline(figure, "attempts", f"{title}: {join_sentences(said)}")
    return Plot(title, svg, _("Circle: passed. Diamond: not passed."))


def _latencies(series: Series) -> Floats:
    """Return milliseconds; infinite for a request without a right answer."""
    values = [np.inf if value is None else value for value in series.latency_ms]
    return np.asarray(values, dtype=float)


def _percentile(latency: Floats, share: float) -> float:
    return float(np.quantile(latency, share, method="higher"))


def _target(axes: Axes, least: float, most: float) -> tuple[float, float]:
    """Draw a logarithmic latency axis with room at its top, and the target's line.

    Returns:
        The least and the most of the axis, ms.
    """
    low = max(0.1, min(least, TARGET_MS / 2) / 1.3)
    high = low * (max(most, TARGET_MS * 1.5) / low) ** 1.2
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    plain_ticks(axes.yaxis, low, high)
    axes.set_ylabel(_("latency, ms"))
    axes.axhline(TARGET_MS, color=INK, linewidth=1.4, linestyle=(0, (5, 3)), zorder=3)
    return low, high


def _strip(axes: Axes, text: str) -> None:
    """Draw the strip at the top for requests without a latency."""
    axes.add_patch(Rectangle((0, 0.88), 1, 0.12, transform=axes.transAxes, color=WASH, linewidth=0))
    axes.text(
        0.008, 0.96, text, transform=axes.transAxes, color=BAD, va="center", fontweight=weight()
    )


def _plot_over_time(series: Series) -> Plot | None:
    """Plot every request of the load as a dot; None if there was no load."""
    due, latency = np.asarray(series.due_s, dtype=float), _latencies(series)
    if not len(due):
        return None
    lost = ~np.isfinite(latency)
    late = ~lost & (latency >= TARGET_MS)
    answered = latency[~lost]
    with drawing() as figure:
        axes = figure.subplots()
        _target(axes, *((answered.min(), answered.max()) if len(answered) else (5, 50)))
        _dots(axes, due[~lost & ~late], latency[~lost & ~late], GOOD)
        _dots(axes, due[late], latency[late], BAD)
        if lost.any():
            _strip(axes, _("no right answer: {n}").format(n=int(lost.sum())))
            axes.plot(
                due[lost], np.full(lost.sum(), 0.905), "x", color=BAD, markersize=4,
                transform=axes.get_xaxis_transform(),
            )  # fmt: skip
        axes.set_xlim(0, np.ceil(due.max()) or 1)
        axes.set_xlabel(_("moment the request was due, s"))
        axes.grid(visible=False, axis="x")
        said = [
            _("{n} requests in {seconds:.0f} s.").format(n=len(due), seconds=due.max()),
            _("Half were answered within {p50} ms, 99 % within {p99} ms.").format(
                p50=format_number(_percentile(latency, 0.5)),
                p99=format_number(_percentile(latency, 0.99)),
            )
            if np.isfinite(_percentile(latency, 0.99))
            else _("Fewer than 99 % got a right answer."),
            _("{late} took 50 ms or more, {lost} got no right answer.").format(
                late=int(late.sum()), lost=int(lost.sum())
            ),
        ]
        title = _("Latency over time")
        svg = inline(figure, "time", f"{title}: {join_sentences(said)}")
    caption = [
        _(
            "Each dot is a request, at the moment it was due. The dashed line is the target of "
            "50 ms."
        )
    ]
    if lost.any():
        caption.append(_("Crosses at the top are requests without a right answer."))
    return Plot(title, svg, join_sentences(caption))


def _dots(axes: Axes, x: Floats, y: Floats, colour: str) -> None:
    """Draw thousands of dots as one path of strokes without length; their round ends show."""
    nothing = np.full(len(x), np.nan)
    axes.plot(
        np.column_stack((x, x, nothing)).ravel(),
        np.column_stack((y, y, nothing)).ravel(),
        color=colour,
        linewidth=3,
        solid_capstyle="round",
    )


def _plot_percentiles(series: Series) -> Plot | None:
    """Plot the latency that each share of the requests kept; None if there was no load."""
    latency = np.sort(_latencies(series))
    if not len(latency):
        return None
    answered = latency[np.isfinite(latency)]
    lost = 1 - len(answered) / len(latency)
    share = np.arange(1, len(answered) + 1) / len(latency)
    # The slowest answer stands at half of its rank, as the axis never reaches 100 %.
    x = -np.log10(np.maximum(1 - share, 0.5 / len(latency)))
    end = max(2.3, -np.log10(0.5 / len(latency)))
    with drawing() as figure:
        axes = figure.subplots()
        _target(axes, *((answered.min(), answered.max()) if len(answered) else (5, 50)))
        axes.plot(x, answered, color=GOOD, linewidth=2.2)
        if lost > 0:
            start = -np.log10(lost)
            axes.axvspan(start, end, color=WASH, linewidth=0)
            middle = (start + end) / 2
            axes.text(
                middle, 0.96, _("no right answer"), transform=axes.get_xaxis_transform(),
                color=BAD, ha="center", va="top", fontweight=weight(),
                rotation=90 if end - start < end / 3 else 0,
            )  # fmt: skip
        p99 = _percentile(latency, 0.99)
        if np.isfinite(p99):
            colour = GOOD if p99 < TARGET_MS else BAD
            axes.plot([2], [p99], "o", color=colour, markersize=7)
            axes.annotate(
                f"p99 {format_number(p99)} ms", (2, p99), (-7, 7), textcoords="offset points",
                ha="right", color=colour, fontweight=weight(),
            )  # fmt: skip
        ticks = [one for one in SHARES if -np.log10(1 - one) <= end]
        axes.set_xticks(
            [-np.log10(1 - one) for one in ticks], [f"{one * 100:.4g}" for one in ticks]
        )
        axes.set_xlim(0, end)
        axes.set_xlabel(_("% of the requests answered within"))
        said = [
            _("{share:g} % within {latency} ms.").format(
                share=one * 100, latency=format_number(_percentile(latency, one))
            )
            for one in ticks
            if np.isfinite(_percentile(latency, one))
        ]
        if lost > 0:
            said.append(_("{share:.2g} % got no right answer.").format(share=lost * 100))
        title = _("Latency percentiles")
        svg = inline(figure, "share", f"{title}: {join_sentences(said)}")
    return Plot(
        title,
        svg,
        _(
            "Each line to the right leaves ten times fewer requests, the slowest ones. At 99 the "
            "curve must be below the dashed line."
        ),
    )


def _plot_rates(verdict: Verdict) -> Plot | None:
    """Plot p99 at each rate that was tried; None if none was tried beyond the target."""
    series, target = verdict.series, verdict.machine.target_rate
    steps = dict(zip(series.steps_rate, series.steps_p99_ms, strict=False))
    if not steps:
        return None
    latency = _latencies(series)
    if len(latency):
        p99 = _percentile(latency, 0.99)
        steps.setdefault(target, p99 if np.isfinite(p99) else None)
    tried = sorted(steps)
    kept = [rate for rate in tried if (value := steps[rate]) is not None and value < TARGET_MS]
    measured = [(rate, value) for rate in tried if (value := steps[rate]) is not None]
    broken = [rate for rate in tried if steps[rate] is None]
    values = [value for _rate, value in measured] or [TARGET_MS]
    with drawing() as figure:
        axes = figure.subplots()
        _target(axes, min(values), max(values))
        axes.plot(
            [rate for rate, _value in measured], [value for _rate, value in measured],
            color=QUIET, linewidth=1.4,
        )  # fmt: skip
        for rate, value in measured:
            good = value < TARGET_MS
            axes.plot(rate, value, "o" if good else "D", color=GOOD if good else BAD, markersize=6)
        if broken:
            _strip(axes, _("errors"))
            axes.plot(
                broken, np.full(len(broken), 0.94), "X", color=BAD, markersize=7,
                transform=axes.get_xaxis_transform(),
            )  # fmt: skip
        axes.set_xlim(min(0.0, *tried), max(tried) * 1.08)
        axes.set_xlabel(_("requests a second"))
        axes.set_ylabel(_("p99 latency, ms"))
        said = [
            _("{rate:g} requests a second: p99 {p99} ms.").format(
                rate=rate, p99=format_number(value)
            )
            if (value := steps[rate]) is not None
            else _("{rate:g} requests a second: errors.").format(rate=rate)
            for rate in tried
        ]
        title = _("Throughput and latency")
        svg = inline(figure, "rate", f"{title}: {join_sentences(said)}")
    caption = (
        _("{rate:g} requests a second is the most that was served with p99 below 50 ms.").format(
            rate=max(kept)
        )
        if kept
        else _("At no rate that was tried was p99 below 50 ms.")
    )
    return Plot(title, svg, caption)
