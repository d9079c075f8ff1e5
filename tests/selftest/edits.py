"""Edits of a submission's copy; one that no longer fits the code says where in its error."""

from collections.abc import Callable
from pathlib import Path

Edit = Callable[[Path], None]
"""Changes the folder of a copy; raises EditError if the code has changed."""


class EditError(Exception):
    """An edit does not apply to the present code; the message says where."""


def replaces(file: str, old: str, new: str) -> Edit:
    """Return an edit that replaces the only `old` in `file` by `new`."""

    def edit(folder: Path) -> None:
        path = folder / file
        text = path.read_text("utf-8") if path.is_file() else ""
        if text.count(old) != 1:
            raise EditError(
                f"{file} holds {text.count(old)} times, instead of once, what is to be replaced:\n"
                f"{old}\nThe code has changed: let the edit follow it"
            )
        path.write_text(text.replace(old, new), "utf-8")

    return edit


def appends(file: str, text: str) -> Edit:
    """Return an edit that appends lines to `file`, which is created if it does not exist."""

    def edit(folder: Path) -> None:
        path = folder / file
        before = path.read_text("utf-8") if path.is_file() else ""
        path.write_text(f"{before}{text}", "utf-8")

    return edit


def all_of(*edits: Edit) -> Edit:
    """Return an edit that makes several edits."""

    def edit(folder: Path) -> None:
        for each in edits:
            each(folder)

    return edit
