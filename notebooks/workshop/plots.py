"""Plots with alternative texts for readers who cannot see them."""

import base64
import html
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import numpy.typing as npt
from IPython.display import display
from matplotlib import rc_context
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from learner.language import _, language
from learner.numbers import format_number

TARGET_MS = 50
"""The lecture's latency target in milliseconds."""
COLOURS = ("#1f6fb2", "#d1632c", "#3a8a4d", "#8a5ca6", "#6b6b6b")
MANY = 2000.0
"""From this ratio of its ends on, a logarithmic axis has a label per decade only."""
TARGET_COLOUR = "#b3261e"
"""All colours differ also for people with red-green colour blindness, and on white paper."""


def show(figure: Figure, alt: str) -> None:
    """Display a figure with the alternative text `alt`, which states what the figure shows."""
    file = BytesIO()
    with style():
        # A quarter of a PNG's size: the lessons are stored with their pictures.
        figure.savefig(
            file,
            format="webp",
            dpi=110,
            bbox_inches="tight",
            facecolor="white",
            pil_kwargs={"quality": 85},
        )
    data = base64.b64encode(file.getvalue()).decode()
    page = f'<img alt="{html.escape(alt)}" src="data:image/webp;base64,{data}">'
    display({"text/html": page, "text/plain": alt}, raw=True)  # type: ignore[no-untyped-call]


def bars(
    values: Mapping[str, float], unit: str, title: str = "", target: float | None = None
) -> None:
    """Plot horizontal bars, each with its value; `target` is a line across them."""
    with style():
        figure = Figure(figsize=(7, 0.5 + 0.42 * len(values)))
        axes = figure.subplots()
        names = list(values)
        finite = [value for value in values.values() if np.isfinite(value)]
        longest = 1.2 * max(finite, default=1.0)  # for an infinite value, whose label says so
        widths = [value if np.isfinite(value) else longest for value in values.values()]
        drawn = axes.barh(names, widths, color=_colours(len(names)), height=0.6)
        axes.bar_label(drawn, [format_number(value, unit) for value in values.values()], padding=4)
        axes.invert_yaxis()
        axes.margins(x=0.2)
        axes.set_title(title, loc="left")
        axes.xaxis.set_visible(False)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        if target is not None:
            axes.axvline(target, color=TARGET_COLOUR, linestyle="--")
    described = "; ".join(f"{name}: {format_number(value, unit)}" for name, value in values.items())
    show(figure, f"{title}: {described}" if title else described)


def latencies(
    series: Mapping[str, npt.ArrayLike], title: str = "", target_ms: float | None = TARGET_MS
) -> None:
    """Plot the share of requests (vertical) that were answered within a time in ms (horizontal).

    Args:
        series: name → latencies in ms. A request without an answer is infinite: it counts, and its
            curve ends below 100 %.
        title: of the plot.
        target_ms: a vertical line; none if None.
    """
    with style():
        figure = Figure(figsize=(7, 3.2))
        axes = figure.subplots()
        said = []
        for (name, values), colour in zip(series.items(), _colours(len(series)), strict=True):
            ordered = np.sort(np.asarray(values, dtype=float))
            share = np.arange(1, len(ordered) + 1) / len(ordered) * 100
            p50, p99 = np.percentile(ordered, (50, 99), method="higher")
            answered = np.isfinite(ordered)
            label = _("{name} (n = {n})").format(name=name, n=len(ordered))
            axes.step(ordered[answered], share[answered], where="post", color=colour, label=label)
            line = f"{name}: p50 {format_number(p50, 'ms')}, p99 {format_number(p99, 'ms')}"
            said.append(_("{figures}, {n} requests").format(figures=line, n=len(ordered)))
            if lost := int((~answered).sum()):
                said[-1] += ", " + _("{lost} without an answer").format(lost=lost)
        axes.axhline(99, color=COLOURS[4], linestyle=":", linewidth=1)
        axes.annotate("p99", (0.005, 99), xycoords=("axes fraction", "data"), fontsize=8, va="top")
        if target_ms is not None:
            label = _("target, {target:g} ms").format(target=target_ms)
            axes.axvline(target_ms, color=TARGET_COLOUR, linestyle="--", label=label)
        axes.set_xscale("log")
        plain_ticks(axes.xaxis)
        axes.set_xlabel(_("latency, ms (logarithmic)"))
        axes.set_ylabel(_("% answered within"))
        axes.set_title(title, loc="left")
        axes.grid(alpha=0.3)
        axes.legend(loc="best")
        axes.spines[["top", "right"]].set_visible(False)
    show(figure, "; ".join([title, *said] if title else said))


def plain_ticks(axis: Axis) -> None:
    """Label a logarithmic axis with 10, 20, 50, 100 … instead of powers of ten.

    An axis that spans many decades gets 10, 100, 1000 …, because its labels would overlap.
    """
    least, most = sorted(axis.get_data_interval())
    wide = least > 0 and most / least > MANY
    axis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


@contextmanager
def style() -> Iterator[None]:
    """Set the style of all plots, with a font for the learner's script, within the block."""
    with rc_context({"font.size": 10, "axes.titlesize": 11}):
        if language() == "ja":
            import matplotlib_fontja

            matplotlib_fontja.japanize()  # registers its font, and sets it until the block ends
        yield


def _colours(count: int) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(count)]
