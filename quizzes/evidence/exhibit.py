"""The exhibit: a research notebook as they are, and what runs its cells in any order.

A cell is a string, and a kernel is a namespace in which strings are executed: that is all this
module does, so that lessons and experiments can restart and reorder within one process.
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

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "exhibit" / "research.ipynb"
AUTHOR = ("imports", "model", "seed", "resize", "normalise-lite", "evaluate")
"""The cells behind the published accuracy, in the order in which the author ran them."""
IMAGENET = (*AUTHOR[:-1], "normalise-imagenet", "evaluate")
"""Every definition from the top, then the evaluation: how a reader would do it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell of the exhibit."""

    id: str
    source: str
    count: int
    """When it was run last: the number that Jupyter shows beside it, `[9]`."""
    purpose: str
    """What its lines are for: setup, model, preprocessing, inference or experiments."""
    output: str
    """What it printed when its author ran it."""


@dataclass(slots=True)
class Kernel:
    """What a freshly started kernel knows after some cells have run in it."""

    names: dict[str, Any] = field(default_factory=dict)
    """Every global variable, as the cells left it."""
    ran: int = 0
    """Cells that ran to their end."""
    error: str = ""
    """What stopped the next one, in one line; empty if nothing did."""

    @property
    def accuracy(self) -> float:
        """The share of photos that it named right, 0–1."""
        return float(self.names["accuracy"])

    @property
    def answers(self) -> npt.NDArray[np.str_]:
        """Its first class for each photo."""
        return np.array(self.names["answers"])

    @property
    def predict(self) -> Callable[[Any], str]:
        """Its predict function: a file to a class."""
        function: Callable[[Any], str] = self.names["predict"]
        return function


def cells() -> list[Cell]:
    """The code cells, as they stand on the page."""
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
        order: ids of cells; any order, any number of times.
        change: a piece of code, and what stands there instead of it in this run.
        after: what has run before; it keeps its own names.

    Raises:
        ValueError: nothing of the cells has that piece of code.
    """
    import torch

    torch.set_num_threads(1)  # so that what is timed is the notebook, not how threads meet
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


def _text(output: dict[str, Any]) -> list[str]:
    lines: list[str] = output.get("text") or output["data"]["text/plain"]
    return lines
