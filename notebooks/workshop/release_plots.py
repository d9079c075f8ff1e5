"""The plots of lessons 7 and 8: a release, windows of an alert."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from challenges.releases.router import Routed
from learner.language import _
from notebooks.workshop.plots import COLOURS, plain_ticks, show, style

BLUE, ORANGE, *_OTHERS = COLOURS


def show_release(log: Sequence[Routed]) -> None:
    """Plot each request of a release as a dot: its number, its latency, and who answered it.

    Args:
        log: of a router. Its requests are numbered by their ids.
    """
    said, ordered = [], sorted(log, key=lambda one: one.id)
    with style():
        figure = Figure(figsize=(7, 3.2))
        axes = figure.subplots()
        for version, name, colour, marker in (
            ("released", _("released model"), BLUE, "o"),
            ("candidate", _("candidate"), ORANGE, "^"),
        ):
            own = [(n, one) for n, one in enumerate(ordered) if one.version == version]
            numbers, times = [n for n, _one in own], [one.ms for _n, one in own]
            axes.plot(numbers, times, marker, color=colour, markersize=4, label=name)
            said.append(_("{name}: {n} requests").format(name=name, n=len(own)))
            if numbers:
                said[-1] += ", " + _("number {first} to {last}").format(
                    first=min(numbers), last=max(numbers)
                )
        different = [(n, one.ms) for n, one in enumerate(ordered) if one.same is False]
        if different:
            axes.plot(*zip(*different, strict=True), "x", color="black", markersize=7,
                      label=_("the two models differ"))  # fmt: skip
        said.append(_("{n} compared answers differ").format(n=len(different)))
        axes.set_yscale("log")
        plain_ticks(axes.yaxis)
        axes.set_xlabel(_("number of the request"))
        axes.set_ylabel(_("latency, ms (logarithmic)"))
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        axes.spines[["top", "right"]].set_visible(False)
    show(figure, "; ".join(said))


def show_windows(sizes: Sequence[int], shares: Mapping[str, Sequence[float]]) -> None:
    """Plot on how many windows an alert fires, over the answers in a window.

    Args:
        sizes: answers in a window.
        shares: name of the traffic → share of the windows that fire, 0–1, one a size.
    """
    said = []
    with style():
        figure = Figure(figsize=(7, 3))
        axes = figure.subplots()
        for (name, values), colour, marker in zip(shares.items(), COLOURS, "os^vd", strict=False):
            percent = [100 * value for value in values]
            axes.plot(sizes, percent, marker=marker, color=colour, label=name)
            points = [
                _("{share:.0f} % at {n:,}").format(share=share, n=n)
                for n, share in zip(sizes, percent, strict=True)
            ]
            said.append(f"{name}: {', '.join(points)}")
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel(_("answers in a window (logarithmic)"))
        axes.set_ylabel(_("% of the windows that fire"))
        axes.grid(alpha=0.3)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        axes.spines[["top", "right"]].set_visible(False)
    show(figure, "; ".join(said))
