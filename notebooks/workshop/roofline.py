"""The roofline model: what a machine can compute, limited by its arithmetic or its memory.

From Williams, Waterman and Patterson, 2009, "Roofline: An Insightful Visual Performance Model for
Multicore Architectures".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from challenges.minimal_service.grading.measuring.calibration import arithmetic_rate, memory_rate
from learner.language import _
from notebooks.workshop.plots import COLOURS, show, style


@dataclass(frozen=True, slots=True)
class Machine:
    """The measured rates of a machine."""

    memory: float
    """Bytes per second that all cores together read."""
    arithmetic: float
    """Floating-point operations per second (float32); a multiply-add counts as two."""

    def attainable(self, intensity: float) -> float:
        """Return the most operations per second at `intensity` operations per byte: the roof."""
        return min(self.arithmetic, self.memory * intensity)


@dataclass(frozen=True, slots=True)
class Work:
    """One forward pass."""

    name: str
    images: int
    """Images in the batch."""
    bytes: float
    """Bytes that must be read: the weights, once. Activations are left out."""
    flop: float
    """Floating-point operations for the whole batch."""

    @property
    def intensity(self) -> float:
        """Operations per byte."""
        return self.flop / self.bytes

    def memory_needed(self, rate: float) -> float:
        """Return the bytes per second at `rate` images per second."""
        return rate / self.images * self.bytes

    def arithmetic_needed(self, rate: float) -> float:
        """Return the operations per second at `rate` images per second."""
        return rate / self.images * self.flop

    def images_per_second(self, machine: Machine) -> float:
        """Return the most images per second that the machine's two rates allow."""
        return self.images / max(self.bytes / machine.memory, self.flop / machine.arithmetic)


def measure(megabytes: int = 512, side: int = 2048) -> Machine:
    """Measure reading and multiplying on all cores; the best of several runs counts.

    Args:
        megabytes: size of the data that is read; it must be several times the size of the caches.
        side: rows and columns of the two matrices that are multiplied.
    """
    return Machine(memory_rate(megabytes), arithmetic_rate(side))


def roofline(machine: Machine, works: Sequence[Work], rate: float, title: str = "") -> None:
    """Plot the roof, and for each work the operations per second that `rate` images/s need."""
    with style():
        figure = Figure(figsize=(7, 4.2))
        axes = figure.subplots()
        across = np.geomspace(0.5, 500, 200)
        roof = [machine.attainable(float(intensity)) / 1e9 for intensity in across]
        axes.plot(across, roof, color=COLOURS[4], linewidth=2.5)
        axes.fill_between(across, roof, 1, color=COLOURS[4], alpha=0.12)
        said = [
            _("memory {memory:.0f} GB/s, arithmetic {arithmetic:.0f} GFLOP/s").format(
                memory=machine.memory / 1e9, arithmetic=machine.arithmetic / 1e9
            )
        ]
        heights = [round(work.arithmetic_needed(rate) / 1e9, 3) for work in works]
        for number, (work, needed) in enumerate(zip(works, heights, strict=True)):
            limit = work.images_per_second(machine)
            fits = limit >= rate
            axes.plot(work.intensity, needed, "o" if fits else "X", ms=9, color=COLOURS[not fits])
            label = _("{name}: at most {limit:,.3g}/s").format(name=work.name, limit=limit)
            # Batches of one model have the same height: their labels must not overlap.
            steps = heights[number + 1 :].count(needed)
            axes.annotate(
                label,
                (work.intensity, needed),
                xytext=(-24, 14 + 17 * steps),
                textcoords="offset points",
                fontsize=9,
                arrowprops={
                    "arrowstyle": "-",
                    "color": COLOURS[4],
                    "shrinkB": 5,
                    "relpos": (0.1, 0),
                },
                bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1},
            )
            said.append(
                _("{label}, under the roof").format(label=label)
                if fits
                else _("{label}, above the roof").format(label=label)
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlim(0.5, 500)
        axes.set_ylim(10, 30_000)
        axes.set_xlabel(_("operations a byte of weights (logarithmic)"))
        axes.set_ylabel(_("GFLOP/s (logarithmic)"))
        axes.set_title(title, loc="left")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    show(figure, "; ".join([title, *said] if title else said))
