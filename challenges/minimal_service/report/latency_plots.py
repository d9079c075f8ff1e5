"""Latency over the time of the load, as percentiles, and at rates beyond the target."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from challenges.minimal_service.grading.verdict import Series, Verdict
from challenges.minimal_service.report.svg import (
    BAD,
    GOOD,
    INK,
    QUIET,
    WASH,
    Plot,
    drawing,
    inline,
    plain_ticks,
    weight,
)
from challenges.minimal_service.report.words import joined
from learner.language import _
from learner.numbers import format_number

TARGET_MS = 50.0
"""The lecture's latency target, for p99."""
SHARES = (0.5, 0.9, 0.99, 0.999)
Floats = npt.NDArray[np.float64]


def _latencies(series: Series) -> Floats:
    """Milliseconds, infinite for a request without a right answer."""
    values = [np.inf if value is None else value for value in series.latency_ms]
    return np.asarray(values, dtype=float)


def _percentile(latency: Floats, share: float) -> float:
    return float(np.quantile(latency, share, method="higher"))


def _target(axes: Axes, least: float, most: float) -> tuple[float, float]:
    """A logarithmic latency axis that leaves a strip at its top, and the target's line.

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
    """The strip at the top for what has no latency."""
    axes.add_patch(Rectangle((0, 0.88), 1, 0.12, transform=axes.transAxes, color=WASH, linewidth=0))
    axes.text(
        0.008, 0.96, text, transform=axes.transAxes, color=BAD, va="center", fontweight=weight()
    )


def over_time(series: Series) -> Plot | None:
    """Every request of the load as a dot; None if there was no load."""
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
        svg = inline(figure, "time", f"{title}: {joined(said)}")
    caption = [
        _(
            "Each dot is a request, at the moment it was due. The dashed line is the target of "
            "50 ms."
        )
    ]
    if lost.any():
        caption.append(_("Crosses at the top are requests without a right answer."))
    return Plot(title, svg, joined(caption))


def _dots(axes: Axes, x: Floats, y: Floats, colour: str) -> None:
    """Thousands of dots as one path of strokes without length, whose round ends are seen."""
    nothing = np.full(len(x), np.nan)
    axes.plot(
        np.column_stack((x, x, nothing)).ravel(),
        np.column_stack((y, y, nothing)).ravel(),
        color=colour,
        linewidth=3,
        solid_capstyle="round",
    )


def percentiles(series: Series) -> Plot | None:
    """The latency that each share of the requests kept; None if there was no load."""
    latency = np.sort(_latencies(series))
    if not len(latency):
        return None
    answered = latency[np.isfinite(latency)]
    lost = 1 - len(answered) / len(latency)
    share = np.arange(1, len(answered) + 1) / len(latency)
    # The last answer of all stands where half of its rank would: at 100 % the axis is endless.
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
        svg = inline(figure, "share", f"{title}: {joined(said)}")
    return Plot(
        title,
        svg,
        _(
            "Each line to the right leaves ten times fewer requests, the slowest ones. At 99 the "
            "curve must be below the dashed line."
        ),
    )


def rates(verdict: Verdict) -> Plot | None:
    """p99 at each rate that was tried; None if none was tried beyond the target."""
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
        svg = inline(figure, "rate", f"{title}: {joined(said)}")
    caption = (
        _("{rate:g} requests a second is the most that was served with p99 below 50 ms.").format(
            rate=max(kept)
        )
        if kept
        else _("At no rate that was tried was p99 below 50 ms.")
    )
    return Plot(title, svg, caption)
