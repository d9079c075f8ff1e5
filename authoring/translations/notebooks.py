"""The texts of a notebook, and a notebook with other texts; all else is copied to the byte."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from authoring.translations import blocks
from authoring.translations.messages import Message, SourceError

NOTES = "speaker_notes"


def read(text: str, name: str) -> dict[str, Any]:
    """The notebook in `text`.

    Raises:
        SourceError: it is none, or a cell has no id, or two have the same.
    """
    try:
        notebook = json.loads(text)
        ids = [cell["id"] for cell in notebook["cells"]]
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{name} is not a notebook whose cells have ids: {error}") from None
    if len(set(ids)) < len(ids):
        raise SourceError(f"{name}: two cells have the same id")
    return dict(notebook)


def messages(notebook: dict[str, Any], name: str) -> Iterator[Message]:
    """The blocks of its Markdown cells and its speaker notes; name: `notebooks/NAME.ipynb`."""
    for cell in notebook["cells"]:
        place = f"{name}/{cell['id']}"
        if cell["cell_type"] == "markdown":
            for number, text in blocks.messages(source_of(cell)):
                yield Message(text, f"{place}/{number}")
        if notes := cell["metadata"].get(NOTES):
            yield Message(notes, f"{place}/notes")


def translate(text: str, name: str, translation: Callable[[Message], str | None]) -> str:
    """The notebook in `text` with each message replaced by what `translation` says, if anything.

    Where it says nothing at all, the result is `text` to the byte, if that is as nbformat writes.
    """
    notebook = read(text, name)
    for cell in notebook["cells"]:
        place = f"{name}/{cell['id']}"
        if cell["cell_type"] == "markdown":

            def block(number: int, text: str, place: str = place) -> str | None:
                return translation(Message(text, f"{place}/{number}"))

            whole = blocks.translate(source_of(cell), block)
            one = isinstance(cell["source"], str)
            cell["source"] = whole if one else whole.splitlines(keepends=True)
        if notes := cell["metadata"].get(NOTES):
            new = translation(Message(notes, f"{place}/notes"))
            cell["metadata"][NOTES] = notes if new is None else new
    end = "\n" if text.endswith("\n") else ""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + end


def source_of(cell: dict[str, Any]) -> str:
    """A cell's source as one text."""
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)
