"""The exhibit in a lesson: its cells to look at, and what runs them in any order."""

from IPython.display import display

from learner.language import _
from quizzes.evidence.exhibit import AUTHOR, IMAGENET, Cell, Kernel, cells, run_cells

__all__ = ["AUTHOR", "IMAGENET", "Cell", "Kernel", "cells", "run_cells", "show_cells"]


def show_cells(*names: str) -> None:
    """Display cells of the exhibit as they stand on its page: number, name, code, stored output.

    Args:
        names: ids of cells; all of them if none is given.
    """
    shown = [cell for cell in cells() if not names or cell.id in names]
    parts = []
    for cell in shown:
        parts.append(f"**[{cell.count}]** `{cell.id}`\n\n```python\n{cell.source}\n```")
        if cell.output:
            parts.append(_("Output:") + f"\n\n```text\n{cell.output.rstrip()}\n```")
    plain = "\n\n".join(f"[{cell.count}] {cell.id}\n{cell.source}" for cell in shown)
    page = {"text/markdown": "\n\n".join(parts), "text/plain": plain}
    display(page, raw=True)  # type: ignore[no-untyped-call]
