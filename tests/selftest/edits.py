"""Edits of a copy of a submission: each plants one fault, or names itself when it fits no more."""

from collections.abc import Callable
from pathlib import Path

Edit = Callable[[Path], None]
"""Changes the folder of a copy. Raises EditError where the code is not what it was written for."""


class EditError(Exception):
    """An edit that does not apply to the present code; the message says where it was to."""


def replaces(file: str, old: str, new: str) -> Edit:
    """An edit that puts `new` in the one place where `file` has `old`."""

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
    """An edit that adds lines at the end of `file`, which is made if there is none."""

    def edit(folder: Path) -> None:
        path = folder / file
        before = path.read_text("utf-8") if path.is_file() else ""
        path.write_text(f"{before}{text}", "utf-8")

    return edit


def all_of(*edits: Edit) -> Edit:
    """Several places that make one fault."""

    def edit(folder: Path) -> None:
        for each in edits:
            each(folder)

    return edit
