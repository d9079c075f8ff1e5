"""The exhibit, a typical research notebook: run its cells in any order, without Jupyter.

A cell is a string, and a kernel is a namespace in which strings are executed. So lessons and
experiments can restart and reorder cells within one process.
"""

import contextlib
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from learner.language import _
from quizzes.evidence import Evidence

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "exhibit" / "research.ipynb"
AUTHOR = ("imports", "model", "seed", "resize", "normalise-lite", "evaluate")
"""The cells behind the published accuracy, in the order in which the author ran them."""
IMAGENET = (*AUTHOR[:-1], "normalise-imagenet", "evaluate")
"""Every definition from the top, then the evaluation: how a reader would run it."""

FASTER = ("BICUBIC", "NEAREST")
"""A word of the exhibit's resize cell, and its replacement by somebody in a hurry."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell of the exhibit."""

    id: str
    source: str
    count: int
    """The number that Jupyter shows beside it, `[9]`: cells are numbered when they run."""
    purpose: str
    """The use of its lines: setup, model, preprocessing, inference or experiments."""
    output: str
    """What it printed when its author ran it."""


@dataclass(slots=True)
class Kernel:
    """The state of a freshly started kernel after some cells have run in it."""

    names: dict[str, Any] = field(default_factory=dict)
    """All global variables."""
    ran: int = 0
    """Cells that ran to their end."""
    error: str = ""
    """The exception of the next one, in one line; empty if there was none."""

    @property
    def accuracy(self) -> float:
        """The share of photos with a right first class, 0–1."""
        return float(self.names["accuracy"])

    @property
    def answers(self) -> npt.NDArray[np.str_]:
        """The first class of each photo."""
        return np.array(self.names["answers"])

    @property
    def predict(self) -> Callable[[Any], str]:
        """The function that turns a file into a class."""
        function: Callable[[Any], str] = self.names["predict"]
        return function


def cells() -> list[Cell]:
    """Return the code cells, in the order of the page."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return [
        Cell(
            cell["id"],
            "".join(cell["source"]),
            cell["execution_count"],
            cell["metadata"]["purpose"],
            "".join(line for output in cell["outputs"] for line in _text(output)),
        )
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


def run_cells(
    order: Iterable[str],
    change: tuple[str, str] | None = None,
    after: Kernel | None = None,
) -> Kernel:
    """Run cells by their ids, in a fresh kernel or after others, until one fails.

    Args:
        order: ids of cells, in any order, each any number of times.
        change: a piece of code, and its replacement for this run.
        after: the kernel to continue; it is not changed.

    Raises:
        ValueError: no cell contains that piece of code.
    """
    import torch

    torch.set_num_threads(1)  # timings then do not depend on how threads are scheduled
    sources = {cell.id: cell.source for cell in cells()}
    if change is not None:
        if not any(change[0] in source for source in sources.values()):
            raise ValueError(f"no cell of the exhibit contains {change[0]!r}")
        sources = {name: source.replace(*change) for name, source in sources.items()}
    kernel = Kernel(dict(after.names) if after else {})
    for name in order:
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(sources[name], f"<cell {name}>", "exec"), kernel.names)
        except Exception as error:
            kernel.error = f"{type(error).__name__}: {error}"
            break
        kernel.ran += 1
    return kernel


def order_of_cells() -> Evidence:
    """Show that the result depends on the order of the cells, and on how often one ran."""
    author, imagenet = run_cells(AUTHOR), run_cells(IMAGENET)
    twice = run_cells(["evaluate"], after=author)
    shares = [kernel.accuracy * 100 for kernel in (author, imagenet, twice)]
    assert len(set(shares)) == 3, "the three orders agree"
    return Evidence(
        shows=_(
            "No cell was changed. The accuracy was {author:.1f} % in the author's order, "
            "{imagenet:.1f} % where another definition came last, and {twice:.1f} % where one "
            "cell ran twice."
        ).format(author=shares[0], imagenet=shares[1], twice=shares[2]),
        values={
            _("the author's order"): shares[0],
            _("another definition last"): shares[1],
            _("evaluated twice"): shares[2],
        },
        unit="%",
        varies=_(
            "which cells ran, how often and in which order; code, weights and packages are the "
            "same."
        ),
    )


def restart() -> Evidence:
    """Show that after a restart the cells do not run through from top to bottom."""
    page = [cell.id for cell in cells()]
    kernel = run_cells(page)
    assert kernel.error, "it ran through"
    assert not run_cells(AUTHOR).error, "an empty memory is enough for the author's order"
    return Evidence(
        shows=_("{ran} of {all} cells ran. The next one stopped with: {error}").format(
            ran=kernel.ran, all=len(page), error=kernel.error
        ),
        values={_("cells on the page"): len(page), _("ran after a restart"): kernel.ran},
        varies=_(
            "the order of the cells; in the author's order they run to the end, in an empty "
            "memory, too."
        ),
    )


def resize_filter() -> Evidence:
    """Show that a different resize filter gives different answers with the same weights."""
    before, after = run_cells(AUTHOR), run_cells(AUTHOR, change=FASTER)
    moved = int((before.answers != after.answers).sum())
    assert moved > 0, "every first class stayed"
    return Evidence(
        shows=_(
            "With the same weights, {moved} of {all} pictures (cuts of 7 photos) got a different "
            "first class. The accuracy was {before:.1f} % and is {after:.1f} %."
        ).format(
            moved=moved,
            all=len(before.answers),
            before=before.accuracy * 100,
            after=after.accuracy * 100,
        ),
        values={_("pictures"): len(before.answers), _("with a different first class"): moved},
        varies=_("one word, the resize filter; weights, pictures and packages are the same."),
    )


def _text(output: dict[str, Any]) -> list[str]:
    lines: list[str] = output.get("text") or output["data"]["text/plain"]
    return lines
