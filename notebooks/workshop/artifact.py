"""What the lessons about the model artifact share: the bundle, bars in panels, pictures."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from learner.artifact import bundle
from notebooks.workshop.plots import COLOURS, show, style
from service.preprocessing import Pixels

__all__ = ["bundle", "panels", "photos"]

COLUMNS = 3
"""Panels in a row."""


def panels(values: Mapping[str, Mapping[str, float]]) -> None:
    """Plot bars, a panel for each quantity, three panels in a row.

    Args:
        values: title of a panel (with the unit) → name of a bar → value. All panels have the same
            names of bars.
    """
    names = list(next(iter(values.values())))
    said = []
    with style():
        columns = min(COLUMNS, len(values))
        rows = -(-len(values) // columns)
        size = (2 + 2.3 * columns, rows * (0.7 + 0.33 * len(names)))
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axes in grid.flat[len(values) :]:
            axes.set_visible(False)
        for number, (title, bars) in enumerate(values.items()):
            axes = grid.flat[number]
            texts = [f"{value:,.{1 if value < 100 else 0}f}" for value in bars.values()]
            colour = COLOURS[number % len(COLOURS)]
            drawn = axes.barh(names, list(bars.values()), color=colour, height=0.6)
            axes.bar_label(drawn, texts, padding=3)
            axes.margins(x=0.35)
            axes.set_title(title, loc="left", fontsize=10)
            axes.xaxis.set_visible(False)
            axes.spines[["top", "right", "bottom"]].set_visible(False)
            described = ", ".join(f"{name} {text}" for name, text in zip(names, texts, strict=True))
            said.append(f"{title}: {described}")
        grid[0, 0].invert_yaxis()  # inverts all panels: they share the axis
    show(figure, "; ".join(said))


def photos(pictures: Mapping[str, Pixels], alt: str) -> None:
    """Show pictures side by side, each under its name.

    Args:
        pictures: name → uint8, height × width × 3 (RGB).
        alt: describes the pictures in words.
    """
    with style():
        figure = Figure(figsize=(2.2 * len(pictures), 2.5), layout="constrained")
        all_axes = figure.subplots(1, len(pictures), squeeze=False)[0]
        for axes, (name, pixels) in zip(all_axes, pictures.items(), strict=True):
            axes.imshow(pixels)
            axes.set_title(name, fontsize=10)
            axes.axis("off")
    show(figure, alt)
